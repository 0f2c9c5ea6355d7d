"""What a program defines reaches workers and comes back."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest

from pydoredis.errors import LocalProtocolError
from pydoredis.queue import Queue


def test_all_kinds(queue: Queue) -> None:
    command = [sys.executable, "-m", "tests.pickles.defined_in_main", queue.connection.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_attrs_classes(queue: Queue) -> None:
    @attrs.define
    class Point:
        x: int

        def moved(self) -> Point:
            return Point(self.x + 1)

    @attrs.frozen(slots=False)
    class Old:
        x: int

    (found,) = queue.foreach([Point(1)]).dopar(lambda p: (p.moved(), Old(p.x)))
    assert found == (Point(2), Old(1))


def test_a_class_that_cannot_be_made_again_is_refused_by_name(queue: Queue) -> None:
    class Base:
        def __init_subclass__(cls, tag: str) -> None:
            pass

    class Sub(Base, tag="t"):
        pass

    with pytest.raises(LocalProtocolError, match=r"Sub cannot be made anew elsewhere: .* needs 'tag'"):
        queue.foreach([1]).dopar(lambda x: Sub.__name__)
