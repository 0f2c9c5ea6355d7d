"""What a driver tells the process in which it runs: how deep its job is, and whether the body waits."""

from __future__ import annotations

import os
import threading
import time

import pytest

from pydoredis import hosting
from pydoredis.coordinator.inner import LEND_AFTER_S, LOOK_S, InnerLoop
from pydoredis.errors import LocalProtocolError
from pydoredis.hosting import Here, Host, News
from pydoredis.protocol.keys import QueueKeys
from pydoredis.registered import registered_place
from pydoredis.settings import ConnectionSettings
from tests.conftest import wait_until

KEYS = QueueKeys("Q")


class Process:
    """A process that runs bodies, and what it tells its agent."""

    def __init__(self, *, depth: int = 0, nesting: int = 4, url: str = "redis://:secret@server/3") -> None:
        self.told: list[News] = []
        self.task = 1
        self.host = Host(self.told.append, lambda: self.task)
        self.host.moved(Here(url, "", "Q", depth, nesting, "agent", ["cloudpickle"]).encode())


def test_a_loop_is_one_deeper_than_its_body() -> None:
    assert InnerLoop(Process(depth=2).host, KEYS).keys == KEYS.at_depth(3)


@pytest.mark.parametrize("nesting", [0, 3])
def test_but_not_deeper_than_it_may_be(nesting: int) -> None:
    with pytest.raises(LocalProtocolError, match=rf"go {nesting} deep .*`--nesting {nesting + 1}`"):
        InnerLoop(Process(depth=nesting, nesting=nesting).host, KEYS)


def test_the_body_lends_its_place_after_a_moment_and_takes_it_back_once() -> None:
    process = Process()
    loop = InnerLoop(process.host, KEYS)
    assert loop.patience_s == LEND_AFTER_S
    loop.waited()
    loop.waited()
    assert loop.patience_s == float("inf")
    loop.look()
    loop.goes_on()
    loop.goes_on()
    assert process.told == [News(waits=True), News(waits=False)]


def test_it_waits_for_all_of_its_loops() -> None:
    process = Process()
    one, two = (InnerLoop(process.host, KEYS) for _ in range(2))
    one.waited()
    two.waited()
    one.goes_on()
    assert process.told == [News(waits=True)]
    two.goes_on()
    assert process.told == [News(waits=True), News(waits=False)]


def test_what_was_said_in_an_earlier_task_is_over() -> None:
    process = Process()
    old = InnerLoop(process.host, KEYS)
    old.waited()
    process.task = 2
    old.goes_on()
    new = InnerLoop(process.host, KEYS)
    new.waited()
    assert process.told == [News(waits=True)] * 2


def test_where_another_thread_drives_the_job_the_body_waits_while_it_is_idle() -> None:
    """This thread is the body's; the other one looks at how much of a processor it uses."""
    process = Process()
    loop = InnerLoop(process.host, KEYS)
    over = threading.Event()

    def drive() -> None:
        while not over.wait(min(LOOK_S, loop.patience_s)):
            loop.waited()
            loop.look()
        loop.goes_on()

    driver = threading.Thread(target=drive)
    driver.start()
    wait_until(lambda: process.told == [News(waits=True)], "it rests, and lends its place")
    deadline_s = time.monotonic() + 20
    while len(process.told) < 2 and time.monotonic() < deadline_s:
        sum(range(1000))
    assert process.told == [News(waits=True), News(waits=False)], "it is at work"
    over.set()
    driver.join()


def test_jobs_are_named_before_they_begin_and_when_they_have_ended() -> None:
    process = Process()
    loop = InnerLoop(process.host, KEYS)
    loop.begins("1_u_h_t")
    loop.ended("1_u_h_t")
    assert process.told == [News("Q", "1_u_h_t", begins=True), News("Q", "1_u_h_t")]


def test_what_tells_where_a_task_comes_from_keeps_the_password_to_itself() -> None:
    here = Process().host.here
    assert here is not None
    assert here.url == "redis://:secret@server/3"
    assert "secret" not in repr(here)


def test_in_a_body_loops_go_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(depth=1)
    monkeypatch.setattr(hosting, "_host", process.host)
    place = registered_place()
    assert place is not None
    assert place.keys == KEYS
    assert place.connection == ConnectionSettings("redis://:secret@server/3")
    monkeypatch.setattr(hosting, "_host", Process(nesting=0, url="").host)
    with pytest.raises(LocalProtocolError, match="--nesting 1"):
        registered_place()


def test_a_child_that_a_body_has_forked_is_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "_host", Process().host)
    assert hosting.current() is not None
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert hosting.current() is None
