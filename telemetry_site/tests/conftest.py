"""What the tests of a start share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry_site.tests.whole_site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.clear()


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Site]:
    """Another copy on the same machine."""
    directory = tmp_path / "second"
    directory.mkdir()
    second = Site(directory)
    yield second
    second.clear()
