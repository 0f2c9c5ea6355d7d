"""No machine keeps tasks to itself that another one has time for.

The long tasks of these tests go on only when a given number of them runs at the same time. A machine that
kept one of them in its pipe would leave the others waiting, however fast or slow this machine is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from pydoredis.loops.bodies import rexpr
from pydoredis.queue import Queue
from tests.conftest import wait_until
from tests.peers.processes import pydoredis_worker
from tests.redis_process import RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

MEETING_S = 60
"""Tasks that have not met by then never will: what holds one of them waits for its own meeting."""


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


def meet(place: str, guests: int, name: int) -> bool:
    """Return True as soon as `guests` tasks with this place run, False after a minute. No place: at once."""
    if not place:
        return True
    Path(place, f"guest-{name}").touch()
    end_s = time.monotonic() + MEETING_S
    while len(list(Path(place).glob("guest-*"))) < guests:
        if time.monotonic() > end_s:
            return False
        time.sleep(0.005)
    return True


MEET_IN_R = f"""{{
  if (nzchar(place)) {{
    invisible(file.create(file.path(place, paste0("guest-", name))))
    end <- Sys.time() + {MEETING_S}
    while (length(list.files(place)) < guests && Sys.time() < end) Sys.sleep(0.005)
    length(list.files(place)) >= guests
  }} else TRUE
}}"""

CODECS = ["cloudpickle", pytest.param("r", marks=pytest.mark.needs_r)]


@contextmanager
def machines(server: RedisProcess, count: int, codec: str = "cloudpickle") -> Iterator[Queue]:
    """A queue with so many agents, of two executors each."""
    with ExitStack() as stack:
        agents = [
            pydoredis_worker(server.url, ["jobs"], workers=2, options=("--codec", codec))
            for _ in range(count)
        ]
        for agent in agents:
            stack.callback(agent.close)
        for agent in agents:
            stack.callback(agent.terminate)
        with server.client() as client:
            wait_until(lambda: client.get("jobs.count") == b"%d" % (2 * count), "all are up", 60)
        yield Queue("jobs", server.url)


def loop(queue: Queue, places: list[str], guests: int) -> Any:
    return queue.foreach(place=places, guests=[guests] * len(places), name=range(len(places)), chunk_size=1)


def new_place(parent: Path, name: object) -> str:
    place = parent / str(name)
    place.mkdir()
    return str(place)


@pytest.mark.parametrize("codec", CODECS)
def test_long_tasks_after_short_ones(server: RedisProcess, tmp_path: Path, codec: str) -> None:
    """Four machines have fetched ahead for a loop of nothing; then come eight long tasks for 8 workers."""
    body: Any = meet if codec == "cloudpickle" else rexpr(MEET_IN_R)
    with machines(server, 4, codec) as queue:
        for attempt in range(3):
            loop(queue, [""] * 1000, 8).dopar(body)
            assert all(loop(queue, [new_place(tmp_path, attempt)] * 8, 8).dopar(body))


def test_a_loop_whose_tasks_become_long_in_the_middle(server: RedisProcess, tmp_path: Path) -> None:
    """The last tasks of a loop lie in the pipe of the machine that fetched them along with short ones."""
    with machines(server, 2) as queue:
        for attempt in range(3):
            assert all(loop(queue, [""] * 1000 + [new_place(tmp_path, attempt)] * 4, 4).dopar(meet))


def test_a_short_loop_beside_a_long_task(server: RedisProcess, tmp_path: Path) -> None:
    queue = Queue("jobs", server.url)
    with queue.start_local_workers(2, codec="cloudpickle"):
        loop(queue, [""] * 20, 0).dopar(meet)
        place = new_place(tmp_path, "place")
        long = loop(queue, [place], 2).submit(meet)
        wait_until(lambda: any(Path(place).iterdir()), "it runs")
        assert all(loop(queue, [""] * 200, 0).dopar(meet))
        assert long.status == "running"
        Path(place, "guest-last").touch()
        assert long.result(MEETING_S) == [True]


def test_long_and_short_tasks_in_one_loop(server: RedisProcess, tmp_path: Path) -> None:
    queue = Queue("jobs", server.url)
    with queue.start_local_workers(2, codec="cloudpickle"):
        for attempt in range(3):
            place = new_place(tmp_path, attempt)
            assert all(loop(queue, [""] * 400 + [place, "", place, ""], 2).dopar(meet))


def test_loops_inside_of_a_body(server: RedisProcess) -> None:
    url = server.url

    def outer(x: int) -> int:
        inner = Queue("jobs", url=url).foreach(y=range(3), combine="+")
        return int(inner.dopar(lambda y: x * y))

    queue = Queue("jobs", server.url)
    with queue.start_local_workers(2, codec="cloudpickle"):
        for _ in range(12):
            assert queue.foreach(x=[1]).submit(outer).result(MEETING_S) == [3]
