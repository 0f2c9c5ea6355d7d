"""Executors that are started before they are wanted."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pydoredis.errors import EvaluatorError
from pydoredis.worker.engines.selection import Selection
from pydoredis.worker.frame_streams import FrameBuffer
from pydoredis.worker.frames import Kind
from pydoredis.worker.launch import Launched, Launcher
from rinterop.runtime import locate
from rinterop.runtime.base import RuntimeUnavailableError

TIMEOUT_S = 60


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    with closing(Launcher("rscript", threads=1)) as made:
        yield made


def ready(launched: Launched) -> None:
    """Wait until the executor says that it is ready."""
    assert select.select([launched.answer_fd], [], [], TIMEOUT_S)[0]
    (frame,) = FrameBuffer().read(launched.answer_fd)
    assert frame.kind == Kind.READY


def end(launched: Launched) -> None:
    launched.process.kill()
    assert launched.process.wait(TIMEOUT_S)
    for fd in (launched.task_fd, launched.answer_fd, launched.starts.reading, launched.starts.writing):
        os.close(fd)
    launched.output.close()


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_who_was_started_ahead_is_given_out_first(launcher: Launcher) -> None:
    launcher.start_ahead("cloudpickle", 1)
    ahead = launcher.launch("cloudpickle")
    another = launcher.launch("cloudpickle")
    try:
        assert ahead.process.pid != another.process.pid
        ready(ahead)
        ready(another)
    finally:
        end(ahead)
        end(another)


def test_who_is_not_wanted_is_ended() -> None:
    before = descriptors()
    with closing(Launcher("rscript")) as launcher:
        launcher.start_ahead("cloudpickle", 2)
        pids = [each.process.pid for each in launcher._ahead["cloudpickle"]]
        assert len(pids) == 2
    assert all(map(gone, pids))
    assert descriptors() == before


def test_one_that_has_died_meanwhile_is_seen_to_have(launcher: Launcher) -> None:
    launcher.start_ahead("cloudpickle", 1)
    launcher._ahead["cloudpickle"][0].process.kill()
    launched = launcher.launch("cloudpickle")
    try:
        assert select.select([launched.answer_fd], [], [], TIMEOUT_S)[0]
        with pytest.raises(EOFError):
            list(FrameBuffer().read(launched.answer_fd))
    finally:
        end(launched)


@pytest.mark.needs_r
def test_another_way_to_run_r_ends_those_that_run_it_in_the_first(launcher: Launcher) -> None:
    launcher.start_ahead("r", 1)
    launcher.start_ahead("cloudpickle", 1)
    (r,), (python,) = launcher._ahead["r"], launcher._ahead["cloudpickle"]
    launcher.change_r_engine("rscript")
    assert not r.process.ended()
    launcher.change_r_engine("rpy2")
    assert gone(r.process.pid)
    assert not python.process.ended()


@pytest.mark.needs_r
def test_what_is_likely_may_not_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions fit, and yet rpy2 cannot be loaded."""

    def broken(probe: locate.Probe) -> str:
        probe.close()
        raise RuntimeUnavailableError("symbol not found", "install another")

    monkeypatch.setattr(locate.Probe, "__init__", lambda _: None)
    monkeypatch.setattr(locate.Probe, "close", lambda _: None)
    monkeypatch.setattr(locate.Probe, "result", broken)
    with closing(Selection("auto", "auto")) as selection:
        assert (selection.likely.codecs, selection.likely.r_engine) == (("r", "cloudpickle"), "rpy2")
        assert (selection.result().codecs, selection.result().r_engine) == (("r", "cloudpickle"), "rscript")
    with (
        closing(Selection("r", "rpy2")) as selection,
        pytest.raises(EvaluatorError, match="symbol not found"),
    ):
        selection.result()


@pytest.mark.needs_r
@pytest.mark.skipif(not locate.available(), reason="rpy2 does not work here")
def test_nobody_waits_for_a_probe_that_is_not_wanted() -> None:
    began_s = time.monotonic()
    selection = Selection("r", "rpy2")
    selection.close()
    selection.close()
    assert time.monotonic() - began_s < TIMEOUT_S
