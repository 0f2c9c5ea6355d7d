"""An agent at work, for all tests of the core."""

from __future__ import annotations

import pytest

from tests.worker.core.scene import Scene


@pytest.fixture
def scene() -> Scene:
    """Its executors are ready, Redis is there, it has joined; the queue is empty."""
    scene = Scene()
    scene.up()
    return scene
