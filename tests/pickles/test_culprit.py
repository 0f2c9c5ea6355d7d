"""What inside of an object cannot be pickled is named."""

from __future__ import annotations

import dataclasses
import functools
import sys
import threading
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

from pydoredis.errors import LocalProtocolError, TaskError
from pydoredis.pickles import culprit, dump
from pydoredis.queue import Queue

# As if it were a program's own module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

LOCK = threading.Lock()


class Client:
    def __init__(self) -> None:
        self.pool = {"main": [1, LOCK]}

    def ask(self) -> None: ...


@dataclasses.dataclass(slots=True)
class Slotted:
    held: Any


class Stateful:
    def __getstate__(self) -> list[Any]:
        return [LOCK]


CLIENT = Client()
Pair = namedtuple("Pair", "a b")


def ask() -> Any:
    return CLIENT.pool


def body(*x: Any, **named: Any) -> Any:
    return x, ask()


def enclosing() -> Callable[[], Any]:
    held = {"k": LOCK}

    def inner() -> Any:
        return [held for _ in range(2)]

    return inner


def with_default(x: Any, lock: Any = LOCK) -> None: ...


@pytest.mark.parametrize(
    ("value", "path", "functions"),
    [
        pytest.param(LOCK, "x", (), id="itself"),
        pytest.param({"conn": Client()}, "x['conn'].pool['main'][1]", (), id="attributes and items"),
        pytest.param([*range(1000), LOCK, *range(1000)], "x[1000]", (), id="long list"),
        pytest.param(Pair(1, LOCK), "x.b", (), id="namedtuple"),
        pytest.param({1: {2, LOCK}}, "x[1], element", (), id="set"),
        pytest.param({LOCK: 1}, "x, key", (), id="key"),
        pytest.param(OrderedDict(a=LOCK), "x['a']", (), id="items of a dict of another class"),
        pytest.param(Slotted(LOCK), "x.held", (), id="slots"),
        pytest.param(Stateful(), "x.__getstate__()[0]", (), id="state"),
        pytest.param(functools.partial(body, LOCK, k=1), "x.args[0]", (), id="partial"),
        pytest.param(functools.partial(body, k=LOCK), "x.keywords['k']", (), id="keyword of a partial"),
        pytest.param(CLIENT.ask, "x.__self__.pool['main'][1]", (), id="method"),
        pytest.param(enclosing(), "held['k']", ("inner",), id="closure"),
        pytest.param(with_default, "default of lock", ("with_default",), id="default"),
    ],
)
def test_the_path_leads_to_it(value: Any, path: str, functions: tuple[str, ...]) -> None:
    with pytest.raises(TypeError) as caught:
        dump([value])
    found = culprit.find(value, "x", caught.value)
    assert found.path.startswith(path)
    assert found.functions == functions
    assert found.kind == "_thread.lock"
    assert "cannot pickle '_thread.lock' object" in str(found)


def test_globals_of_functions_that_are_used() -> None:
    with pytest.raises(TypeError) as caught:
        dump(body)
    found = culprit.find(body, "body", caught.value)
    assert str(found).startswith("CLIENT.pool['main'][1] (a _thread.lock used by ask used by body)")


def test_a_cycle_ends() -> None:
    cycle: list[Any] = [LOCK]
    cycle.insert(0, cycle)
    with pytest.raises(TypeError) as caught:
        dump(cycle)
    assert culprit.find(cycle, "x", caught.value).path == "x[1]"


class TestInLoops:
    def test_arguments(self, queue: Queue) -> None:
        message = (
            r"an argument of iteration 3 cannot be sent: x\['conn'\]\.pool\['main'\]\[1\] \(a _thread\.lock"
        )
        with pytest.raises(LocalProtocolError, match=message):
            queue.foreach(x=[1, 2, {"conn": Client()}]).dopar(lambda x: 1)
        with pytest.raises(LocalProtocolError, match=r"an argument of iteration 1 cannot be sent: value 2 "):
            queue.foreach([1], [LOCK]).dopar(lambda x, y: 1)

    def test_bodies_and_what_goes_with_them(self, queue: Queue) -> None:
        loop = queue.foreach(x=[1])
        with pytest.raises(LocalProtocolError, match=r"the body cannot be sent: CLIENT\.pool.* used by body"):
            loop.dopar(body)
        with pytest.raises(LocalProtocolError, match=r"cannot be sent: k\.held "):
            queue.foreach(x=[1], export={"k": Slotted(LOCK)}).dopar(lambda x: 1)
        with pytest.raises(LocalProtocolError, match=r"CLIENT\.pool.* used by ask"):
            queue.foreach(x=[1], worker_init=ask).dopar(lambda x: 1)
        with pytest.raises(LocalProtocolError, match=r"default of lock .* used by with_default"):
            queue.foreach(x=[1], reduce=with_default).dopar(lambda x: 1)

    def test_values(self, queue: Queue) -> None:
        def bad(x: int) -> Any:
            return {"lock": [threading.Lock()]} if x == 2 else x

        loop = queue.foreach(x=range(4), chunk_size=4, errorhandling="pass")
        *good, error, last = loop.dopar(bad)
        assert [*good, last] == [0, 1, 3]
        assert "value['lock'][0] (a _thread.lock): TypeError: cannot pickle" in str(error)
        with pytest.raises(TaskError, match=r"task 3 failed .*value\['lock'\]\[0\]"):
            queue.foreach(x=range(4)).dopar(bad)
