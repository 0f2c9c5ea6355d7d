"""A user's program: all kinds of things that it defines, used by bodies on workers and sent back by them.

    python -m tests.pickles.defined_in_main URL

It prints a line for each loop whose value is wrong.
"""

# ruff: noqa: N818  (exceptions named as programs name them)

from __future__ import annotations

import abc
import dataclasses
import enum
import functools
import logging
import operator
import sys
import typing
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pydoredis as dr

T = typing.TypeVar("T")
P = typing.ParamSpec("P")
Number = typing.NewType("Number", int)


@functools.lru_cache
def cached(x: int) -> int:
    return 2 * x


@functools.cache
def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@functools.singledispatch
def kind(x: object) -> str:
    return "object"


@kind.register
def _(x: int) -> str:
    return "int"


@kind.register
def _(x: list) -> str:  # type: ignore[type-arg]
    return f"list of {kind(x[0])}"


def plus_one(function: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(function)
    def wrapper(*args: int) -> int:
        return function(*args) + 1

    return wrapper


@plus_one
def decorated(x: int) -> int:
    return x


class Lazy:
    def __init__(self, x: int) -> None:
        self.x = x

    @functools.cached_property
    def double(self) -> int:
        return 2 * self.x

    @functools.lru_cache(maxsize=2)  # noqa: B019
    def plus(self, y: int) -> int:
        return self.x + y

    @functools.singledispatchmethod
    def kind(self, x: object) -> str:
        return "object"

    @kind.register
    def _(self, x: int) -> str:
        return "int"

    half = functools.partialmethod(plus, 1)

    @staticmethod
    def static(x: int) -> int:
        return x

    @classmethod
    def make(cls) -> Lazy:
        return cls(5)


class Color(enum.Enum):
    RED = 1
    BLUE = enum.auto()

    def shout(self) -> str:
        return self.name + "!"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    HIGH = 3


class Planet(enum.Enum):
    EARTH = ("green", 1)

    def __init__(self, color: str, moons: int) -> None:
        self.color = color
        self.moons = moons


class Pair(typing.NamedTuple):
    a: int
    b: str = "b"


Old = namedtuple("Old", "x y")


class Options(typing.TypedDict):
    a: int


class Box(typing.Generic[T]):
    def __init__(self, x: T) -> None:
        self.x = x


class Has(typing.Protocol):
    def f(self) -> int: ...


class Outer:
    class Inner:
        value = 5

    def inner(self) -> Inner:
        return Outer.Inner()


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> int: ...


class Square(Shape):
    def area(self) -> int:
        return 4 if isinstance(super(), object) else 0


@dataclasses.dataclass
class Plain:
    a: int = 1
    b: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True)
class Slotted:
    q: int


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Frozen:
    q: int

    def twice(self) -> int:
        return 2 * self.q


class Private:
    __slots__ = ("__hidden", "a")

    def __init__(self, a: int) -> None:
        self.a = a
        self.__hidden = a + 1

    def hidden(self) -> int:
        return self.__hidden


class Derived(Private):
    __slots__ = "c"

    def __init__(self, c: int) -> None:
        super().__init__(c + 1)
        self.c = c


class Mixed:
    __slots__ = ("__dict__", "__weakref__", "a")

    def __init__(self) -> None:
        self.a, self.b = 1, 2


class Meta(type):
    def hello(cls) -> str:
        return f"hello {cls.__name__}"


class WithMeta(metaclass=Meta):
    pass


class Registered:
    known: typing.ClassVar[list[str]] = []

    def __init_subclass__(cls, tag: str = "none") -> None:
        cls.tag = tag  # type: ignore[attr-defined]
        Registered.known.append(tag)


class Tagged(Registered, tag="tagged"):
    tag: str


class Mine(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


log = logging.getLogger("mine")


def names(*variables: Any) -> list[str]:
    return [variable.__name__ for variable in variables or (P, T)]


def returns(x: Any) -> Any:
    return x


def attributes(x: Any) -> dict[str, Any]:
    return {
        "hidden": x.hidden(),
        "c": x.c,
        "no dict": not hasattr(x, "__dict__"),
        "slots": type(x).__slots__,
    }


def reason(error: Mine) -> tuple[type, int, str]:
    return type(error), error.code, str(error)


LOOPS: dict[str, tuple[Any, Callable[..., Any], Any]] = {
    # name: an argument, a body, and its value
    "lru_cache as body": (5, cached, 10),
    "lru_cache used": (5, lambda x: cached(x) + cached(x), 20),
    "cache that calls itself": (10, fibonacci, 55),
    "singledispatch": ([1], kind, "list of int"),
    "singledispatch used": (1, lambda x: kind(x) + kind(""), "intobject"),
    "decorated": (1, decorated, 2),
    "partial": (1, functools.partial(operator.add, 1), 2),
    "partial of a cached function": (1, functools.partial(cached), 2),
    "bound method": (3, Lazy(4).plus, 7),
    "cached_property": (Lazy(3), lambda x: (x.double, x.plus(1), x.half(), x.kind(1)), (6, 4, 4, "int")),
    "static and class methods": (1, lambda x: Lazy.static(x) + Lazy.make().x, 6),
    "enum": (Color.RED, lambda x: (x.shout(), x is Color.RED, Color(2)), ("RED!", True, Color.BLUE)),
    "flag": (Access.READ, lambda x: x | Access.WRITE, Access.READ | Access.WRITE),
    "int enum": (Level.HIGH, lambda x: x + 1, 4),
    "enum with an init": (Planet.EARTH, lambda x: (x.color, Planet.EARTH.moons), ("green", 1)),
    "NamedTuple": (Pair(1), lambda x: x._replace(b=Pair.__name__), Pair(1, "Pair")),
    "namedtuple": (Old(1, 2), lambda x: Old(x.y, x.x), Old(2, 1)),
    "TypedDict": (1, lambda x: Options(a=x), {"a": 1}),
    "generic": (Box[int](3), lambda x: x.x + Box[int](4).x, 7),
    "protocol": (1, lambda x: Has.__name__, "Has"),
    "type variables": (1, lambda x: names(), ["P", "T"]),
    "NewType": (1, lambda x: Number(x), 1),
    "nested class": (Outer(), lambda x: x.inner().value, 5),
    "abstract class": (Square(), lambda x: (x.area(), isinstance(x, Shape)), (4, True)),
    "dataclass": (Plain(2), lambda x: dataclasses.replace(x, b=[1]), Plain(2, [1])),
    "dataclass with slots": (Slotted(1), lambda x: Slotted(x.q + 1), Slotted(2)),
    "list of those": (1, lambda x: [Slotted(n) for n in range(3)], [Slotted(n) for n in range(3)]),
    "frozen dataclass with slots": (Frozen(1), lambda x: max(x, Frozen(x.twice())), Frozen(2)),
    "slots of a base class": (
        Derived(1),
        attributes,
        {"hidden": 3, "c": 1, "no dict": True, "slots": "c"},
    ),
    "slots and a dict": (Mixed(), lambda x: (x.a, x.b), (1, 2)),
    "metaclass": (1, lambda x: WithMeta.hello(), "hello WithMeta"),
    "__init_subclass__": (1, lambda x: Tagged.tag, "tagged"),
    "logger": (1, lambda x: log.name, "mine"),
    "exception as an argument": (Mine(3, "bad"), reason, (Mine, 3, "bad")),
    "exception as a value": (1, lambda x: [Mine(x, "bad")], None),
}


def main(url: str) -> None:
    """Run the loops."""
    queue = dr.Queue("Q", url)
    for name, (argument, body, value) in LOOPS.items():
        try:
            (found,) = queue.foreach([argument]).dopar(body)
        except dr.DoRedisError as error:
            print(f"{name}: {error}")
            continue
        if name == "exception as a value":
            found, value = reason(found[0]), (Mine, 1, "bad")
        if found != value or type(found) is not type(value):
            print(f"{name}: {found!r}, not {value!r}")
    (same,) = queue.foreach([Derived(1)]).dopar(returns)
    if type(same) is not Derived or same.hidden() != 3:
        print("an object that goes there and back is of another class")


if __name__ == "__main__":
    main(sys.argv[1])
