"""The scene that these tests play in."""

from __future__ import annotations

import pytest

from devices.tests.scene import Scene


@pytest.fixture
def scene(db: None) -> Scene:
    return Scene.make()
