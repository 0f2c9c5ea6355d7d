"""Exceptions on their way: type, attributes, causes, tracebacks; and what stands for one that is lost."""

# ruff: noqa: N818  (exceptions named as programs name them)

from __future__ import annotations

import builtins
import importlib
import linecache
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pydoredis.errors import RemoteError, TaskError
from pydoredis.pickles import dump
from pydoredis.pickles.raised import NotSent, Raised, RemoteTraceback
from pydoredis.queue import Queue

new_python = pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 and later")


class Coded(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Decorated(ValueError):
    """What it gives to the next `__init__` is not what it was given."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(f"<{text}>")
        self.code = code


class Keywords(Exception):
    def __init__(self, *, code: int) -> None:
        self.code = code


class Missing(FileNotFoundError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "No such file", path)
        self.extra = [1]


class Slots(Exception):
    __slots__ = ("__secret", "code")

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
        self.__secret = 7

    def secret(self) -> int:
        return self.__secret


class Reduced(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} {b}")
        self.ab = a, b

    def __reduce__(self) -> Any:
        return Reduced, self.ab


class BadlyReduced(Coded):
    def __reduce__(self) -> Any:
        return BadlyReduced, ()


class New(Exception):
    def __new__(cls, a: int, *, b: int) -> New:
        made = super().__new__(cls, a)
        made.b = b
        return made

    b: int

    def __init__(self, a: int, *, b: int) -> None: ...


def raised(error: BaseException) -> BaseException:
    """What comes out on the other side."""
    try:
        raise error
    except BaseException as caught:
        told: Raised = pickle.loads(dump(Raised.of(caught)))
    return told.again()


@pytest.mark.parametrize(
    "error",
    [
        Coded(3, "bad"),
        Decorated("text", 5),
        Keywords(code=4),
        Missing("/nowhere"),
        Slots(2),
        Reduced(1, 2),
        BadlyReduced(6, "bad"),
        New(1, b=2),
        KeyError("k"),
        OSError(5, "I/O"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        ImportError("no", name="m", path="/p"),
        SystemExit(3),
        StopIteration(7),
        SyntaxError("bad", ("f.py", 3, 4, "x = = 1")),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_it_is_made_again(error: BaseException) -> None:
    """As one that was raised, and as a value of a body."""
    for found in raised(error), pickle.loads(dump([error]))[0] if type(error) is not BadlyReduced else error:
        assert type(found) is type(error)
        assert found.args == error.args
        assert str(found) == str(error)
        for name in (
            "code",
            "ab",
            "b",
            "errno",
            "filename",
            "extra",
            "name",
            "path",
            "reason",
            "value",
            "lineno",
        ):
            assert getattr(found, name, None) == getattr(error, name, None)
        if isinstance(found, Slots):
            assert found.secret() == 7


def test_causes_and_contexts() -> None:
    def fail() -> None:
        try:
            try:
                raise Coded(1, "first")
            except Coded as first:
                raise Coded(2, "second") from first
        except Coded:
            raise Coded(3, "third")  # noqa: B904

    with pytest.raises(Coded) as caught:
        fail()
    third = Raised.of(caught.value).again()
    second = third.__context__
    assert third.__cause__ is None
    assert isinstance(second, Coded)
    first = second.__cause__
    assert isinstance(first, Coded)
    assert [one.code for one in (first, second, third) if isinstance(one, Coded)] == [1, 2, 3]
    traceback = str(first.__cause__)
    assert isinstance(first.__cause__, RemoteTraceback)
    assert traceback.index("first") < traceback.index("direct cause") < traceback.index("second")
    assert (
        traceback.index("second") < traceback.index("another exception occurred") < traceback.index("third")
    )
    assert 'raise Coded(2, "second") from first' in traceback


def test_from_none() -> None:
    def fail() -> None:
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            raise Coded(1, "x") from None

    with pytest.raises(Coded) as caught:
        fail()
    found = Raised.of(caught.value).again()
    assert found.__context__ is None
    assert "ZeroDivisionError" not in str(found.__cause__)


def test_chains_end() -> None:
    """However long they are, and if they are circles."""
    error: BaseException = ValueError(0)
    for number in range(1, 100):
        error.__context__, error = None, ValueError(number)
        error.__cause__ = ValueError(number - 1)
    loop = ValueError("loop")
    loop.__cause__ = other = ValueError("other")
    other.__context__ = loop
    found = Raised.of(loop).again()
    assert str(found.__cause__) == "other"
    long: BaseException = ValueError(0)
    for number in range(1, 1000):
        after = ValueError(number)
        after.__context__ = long
        long = after
    assert str(Raised.of(long).again()) == "999"


@new_python
def test_notes() -> None:
    error = Coded(1, "x")
    error.add_note("look here")  # type: ignore[attr-defined,unused-ignore]
    found = raised(error)
    assert found.__notes__ == ["look here"]  # type: ignore[attr-defined,unused-ignore]
    assert "look here" in str(found.__cause__)


@new_python
def test_groups() -> None:
    group = getattr(builtins, "ExceptionGroup")  # noqa: B009
    error = group("several", [Coded(1, "one"), group("inner", [Decorated("two", 2)])])
    found: Any = raised(error)
    assert type(found) is group
    assert found.message == "several"
    one, inner = found.exceptions
    assert (one.code, inner.exceptions[0].code) == (1, 2)
    text = str(found.__cause__)
    assert "ExceptionGroup: several (2 sub-exceptions)" in text
    assert "  |   | " in text
    assert "Decorated: <two>" in text


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no str")

    __repr__ = __str__


def test_one_that_says_nothing() -> None:
    found = raised(Mute(1))
    assert isinstance(found, Mute)
    assert found.args == (1,)
    assert "exception str() failed" in str(found.__cause__)


def test_what_cannot_be_sent_costs_nothing_but_itself() -> None:
    error: Any = Coded(3, "bad")
    error.lock = threading.Lock()
    error.mute = [Mute(), threading.Lock()]
    error.args = (1, threading.Lock())
    found: Any = raised(error)
    assert (type(found), found.code, found.args[0]) == (Coded, 3, 1)
    assert isinstance(found.args[1], NotSent)
    assert "unlocked _thread.lock" in repr(found.lock)
    assert "list" in repr(found.mute)


@pytest.fixture
def unknown(tmp_path: Path) -> bytes:
    """An exception of a class that only the worker has."""
    (tmp_path / "only_there.py").write_text(
        "class Base(ValueError): pass\n"
        "class Odd(Base):\n"
        "    def __init__(self, code, lock):\n"
        "        super().__init__(f'odd {code}'); self.code = code; self.lock = lock\n"
        "def fail():\n"
        "    import threading\n"
        "    error = Odd(3, threading.Lock())\n"
        "    error.__notes__ = ['look here']\n"
        "    raise error\n"
    )
    program = (
        "import sys; from pydoredis.pickles import dump; from pydoredis.pickles.raised import Raised\n"
        "import only_there\n"
        "try: only_there.fail()\n"
        "except Exception as e: sys.stdout.buffer.write(dump(Raised.of(e)))"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout


def test_an_unknown_class_has_a_stand_in(unknown: bytes) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("only_there")
    told: Raised = pickle.loads(unknown)
    found = told.again()
    assert isinstance(found, RemoteError)
    assert found.type_names[:3] == ("only_there.Odd", "only_there.Base", "builtins.ValueError")
    assert (str(found), found.message, found.code) == ("Odd: odd 3", "odd 3", 3)
    assert isinstance(found.lock, NotSent)
    with pytest.raises(AttributeError, match=r"only_there\.Odd had no attribute 'other'"):
        found.other  # noqa: B018
    again = pickle.loads(pickle.dumps(found.with_traceback(None)))
    assert (str(again), again.code) == ("Odd: odd 3", 3)
    traceback = str(found.__cause__)
    assert "in fail\n    raise error" in traceback
    assert found.__notes__ == ["look here"]  # type: ignore[attr-defined,unused-ignore]
    assert "only_there.Odd: odd 3" in traceback


class TestInLoops:
    def test_type_attributes_and_cause(self, queue: Queue) -> None:
        def fail(x: int) -> None:
            try:
                1 / 0  # noqa: B018
            except ZeroDivisionError as error:
                raise Coded(x, "bad") from error

        with pytest.raises(TaskError, match='task 1 failed - "Coded: bad"') as caught:
            queue.foreach(x=[3]).dopar(fail)
        found = caught.value.__cause__
        assert isinstance(found, Coded)
        assert found.code == 3
        assert isinstance(found.__cause__, ZeroDivisionError)
        assert "1 / 0" in str(found.__cause__.__cause__)

    @pytest.mark.parametrize("run", ["dopar", "do"])
    def test_one_that_says_nothing(self, queue: Queue, run: str) -> None:
        def fail(x: int) -> None:
            raise Mute

        with pytest.raises(TaskError, match=r"Mute: <Mute, of which str\(\) raises RuntimeError>") as caught:
            getattr(queue.foreach(x=[1]), run)(fail)
        assert isinstance(caught.value.__cause__, Mute)

    def test_one_that_cannot_be_looked_at(self, queue: Queue) -> None:
        class Shy(Exception):
            def __getattribute__(self, name: str) -> Any:
                raise RuntimeError(name)

        def fail(x: int) -> None:
            raise Shy

        with pytest.raises(TaskError, match=r"a .*Shy was raised, and cannot be looked at: RuntimeError"):
            queue.foreach(x=[1]).dopar(fail)

    def test_the_source_of_a_notebook(self, queue: Queue) -> None:
        """It is known to the program's process and to nobody else, as a cell's is."""
        source = "def fail(x):\n    y = x\n    return y / 0\n"
        cell: dict[str, Any] = {"__name__": "__main__"}
        linecache.cache["<cell 7>"] = (len(source), None, source.splitlines(keepends=True), "<cell 7>")
        exec(compile(source, "<cell 7>", "exec"), cell)
        with pytest.raises(TaskError) as caught:
            queue.foreach(x=[1]).dopar(cell["fail"])
        cause = caught.value.__cause__
        assert cause is not None
        assert 'File "<cell 7>", line 3, in fail\n    return y / 0\n' in str(cause.__cause__)

    def test_passed_on_as_values(self, queue: Queue) -> None:
        def fail(x: int) -> int:
            if x == 2:
                raise Coded(x, "bad")
            return x

        first, second = queue.foreach(x=[1, 2], errorhandling="pass", chunk_size=2).dopar(fail)
        assert first == 1
        assert isinstance(second, Coded)
        assert second.code == 2

    def test_a_module_that_workers_lack(self, queue: Queue) -> None:
        def body(x: int) -> None:
            import only_here  # type: ignore[import-not-found]  # noqa: F401

        message = r"No module named 'only_here'\. Send it along with export=\[only_here\]"
        with pytest.raises(TaskError, match=message):
            queue.foreach(x=[1]).dopar(body)

    def test_arguments_of_a_module_that_workers_lack(
        self, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "only_here.py").write_text("class Point:\n    v = 3\ndef v(x): return x.v\n")
        monkeypatch.syspath_prepend(tmp_path)
        only_here = importlib.import_module("only_here")
        try:
            for body in only_here.v, lambda x: x.v:
                with pytest.raises(TaskError, match=r"Send it along with export=\[only_here\]"):
                    queue.foreach(x=[only_here.Point()]).dopar(body)
                loop = queue.foreach(x=[only_here.Point()], export=[only_here], combine="+")
                assert loop.dopar(body) == 3
                assert loop.dopar(lambda x: only_here.v(only_here.Point())) == 3
            (found,) = queue.foreach(x=[1], export=[only_here]).dopar(lambda x: only_here.Point())
            assert type(found) is only_here.Point
        finally:
            del sys.modules["only_here"]
