"""Scenes whose ends are looked at: no key is to stay, and no process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.faults.scene import Scene, Setup
from tests.redis_process import RedisProcess

OpenScene = Callable[..., Scene]
"""Called with a `Setup`, and whether the server has its data after a restart (`keeps_data`)."""


@pytest.fixture
def open_scene(tmp_path: Path) -> Iterator[OpenScene]:
    """Starts servers and workers. After the test only what belongs to open queues is left, or expires."""
    with ExitStack() as stack:
        scenes: list[Scene] = []

        def start(setup: Setup, *, keeps_data: bool = False) -> Scene:
            appendonly = "yes" if keeps_data else "no"
            server = stack.enter_context(RedisProcess(appendonly=appendonly, appendfsync="always"))
            scene = Scene(setup, server, tmp_path)
            stack.callback(scene.close)
            scenes.append(scene)
            return scene

        yield start
        for scene in scenes:
            wait_until(lambda scene=scene: not scene.lasting_keys(), "no orphan keys", 15)  # type: ignore[misc]
            left = scene.end()
            assert not left, left
            assert not scene.lasting_keys()
