"""The scene that these tests play in."""

from __future__ import annotations

import pytest
from django.conf import settings

from devices.tests.scene import Scene

# Writers queue on SQLite alone: there is nothing to test or to skip elsewhere.
collect_ignore = (
    [] if "sqlite" in settings.DATABASES["default"]["ENGINE"] else ["test_sqlite_writers.py"]
)


@pytest.fixture
def scene(db: None) -> Scene:
    return Scene.make()
