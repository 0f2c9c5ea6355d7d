"""`python -m tests.model.mutations`: take out each guard in turn, and see whether a test notices.

A guard is a condition in a Lua script or in the agent's core. In a copy of the project it is made true, then
false; of `a and b` each part is taken out. Then the quick tests run, and the explorer if they pass. A guard
that nobody misses is not needed, or it saves time alone: those stand in `TIME_SAVERS`, with the reason.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.model.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]

ANY_ORDER = "tests/worker/core/test_any_order.py"
CORE_TESTS = [str(path.relative_to(ROOT)) for path in (ROOT / "tests/worker/core").glob("test_*.py")]

QUICK = {
    "read_task.lua": ("tests/store/test_read_task.py",),
    "peek.lua": ("tests/admin/test_looking.py",),
    "remove_tasks.lua": ("tests/admin/test_removing.py",),
    "lua": (
        "tests/store/test_script_guards.py",
        "tests/store/test_agent_commands.py",
        "tests/store/test_open_job.py",
        "tests/store/test_store.py",
    ),
    # Of events in any order last: that takes longest.
    "core": (*sorted(set(CORE_TESTS) - {ANY_ORDER}), ANY_ORDER),
}
"""Tests that run in seconds and say most of what is to be said: by name of a file, or of its folder."""

EXPLORED_S = 1.0
"""Processor seconds for each of the explorer's scenarios."""

LONGEST_S = 100
"""Tests that take longer are in a loop without end: several times what they need on a busy machine."""

NEEDED = ("pydoredis", "rinterop", "tests", "pyproject.toml")

TIME_SAVERS: dict[tuple[str, str], str] = {
    ("collect.lua", "read > 0 -> true"): "nothing is cut off where nothing was read",
    (
        "remove_tasks.lua",
        "place -> false",
    ): "what has moved is found by the caller's next look",
    (
        "publish.lua",
        "done -> true",
    ): "Redis 7.0 gives errors as texts, others as tables",
    ("remove_tasks.lua", "removed > 0 -> true"): "of nothing nothing is removed",
    ("remove_tasks.lua", "vain < 5 -> true"): "what was looked for in vain is soon given up",
    ("remove_tasks.lua", "found -> true"): "what is beyond the list's end was taken: it is not looked for",
    ("remove_tasks.lua", "found ~= payload -> true"): "what is in its place is not looked for",
    ("claim.lua", "length -> false"): "a batch reads an environment once",
    ("claim.lua", "length < 0 -> false"): "an environment that is not there is not read",
    (
        "claim.lua",
        "any_crashes[queue] == nil -> true",
    ): "a batch looks once whether anything has crashed",
    (
        "dispatch.py",
        "not self._shelves.count(State.WAITING) -> False",
    ): "where nothing waits nothing is looked at",
    (
        "dispatch.py",
        "behind or len(each.leases) > 1 -> True",
    ): "behind a task that runs alone nothing is looked for",
    ("dispatch.py", "job.number in full -> False"): "a job without room is asked about once",
    ("dispatch.py", "codec not in open_ -> True"): "executors are looked up once for all tasks",
    ("executors.py", "0.0 -> False"): "it is the same number",
    ("intake.py", '"" -> False'): "of a tag it is asked only whether there is one",
    ("prefetch.py", "longer -> True"): "who has not more than may wait gives nothing back when it looks",
    (
        "prefetch.py",
        "self.most_waiting < MAX_IN_AGENT -> True",
    ): "of tasks that are that short no more are fetched than may wait",
    ("publish.lua", "#job.numbers > 0 -> true"): "of nothing nothing is pushed: that fails, and nobody asks",
    (
        "replies.py",
        "lease.env == command.env -> True",
    ): "of tasks of other jobs nothing new is known, and they are left as they are",
    ("requests.py", "returning -> True"): "where nothing goes back nothing is sorted",
    (
        "worker_core.py",
        "self.shelves.some_cancelled -> True",
    ): "where no job was cancelled no task is looked at",
    ("claim.lua", "#taken > 0 -> true"): "a look in vain writes nothing",
    ("claim.lua", "counts[number] > 0 -> true"): "a list that stays as it is wakes nobody",
}
"""By file, condition and replacement: why nothing but time, or another server, depends on a guard."""


@dataclass(frozen=True)
class Mutant:
    """A file in which one condition is replaced.

    Attributes:
        path: Of the file, from the project's root.
        line: Where the condition begins.
        guard: Its text.
        value: What stands there instead.
        text: The whole file with the replacement.
    """

    path: Path
    line: int
    guard: str
    value: str
    text: str

    @property
    def change(self) -> str:
        """What is replaced by what."""
        return f"{' '.join(self.guard.split())} -> {self.value}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.change}"


def mutants() -> Iterator[Mutant]:
    """All of them."""
    for path in sorted((ROOT / "pydoredis/lua").glob("*.lua")):
        yield from of_lua(path.relative_to(ROOT), path.read_text())
    for path in sorted((ROOT / "pydoredis/worker/core").glob("*.py")):
        yield from of_python(path.relative_to(ROOT), path.read_text())


# --- Lua ----------------------------------------------------------------------------------------------------


def of_lua(path: Path, text: str) -> Iterator[Mutant]:
    """Conditions of `if` and `elseif`, whole, and the parts of those that have `and` or `or`."""
    code = re.sub(r"--[^\n]*", lambda comment: " " * len(comment[0]), text)
    for found in re.finditer(r"\b(?:if|elseif)\b(.*?)\bthen\b", code, re.DOTALL):
        start, end = _stripped(text, *found.span(1))
        parts = list(_parts(code, start, end))
        if len(parts) == 1:
            yield from (_mutant(path, text, start, end, value) for value in ("true", "false"))
        for first, last, neutral in parts:
            if len(parts) > 1:
                yield _mutant(path, text, first, last, neutral)


def _parts(code: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """What `and` and `or` connect, outside of parentheses, and what takes a part out."""
    depth, begin, found = 0, start, []
    for token in re.finditer(r"'[^']*'|[(){}]|\b(?:and|or)\b", code[start:end]):
        if token[0] in ("(", "{"):
            depth += 1
        elif token[0] in (")", "}"):
            depth -= 1
        elif token[0] in ("and", "or") and not depth:
            found.append((begin, start + token.start(), token[0]))
            begin = start + token.end()
    operators = [operator for _, _, operator in found]
    spans = [(first, last) for first, last, _ in found] + [(begin, end)]
    for n, span in enumerate(spans):
        # `and` binds more than `or`: a part between both belongs to the `and`.
        beside = operators[max(0, n - 1) : n + 1]
        yield *_stripped(code, *span), "true" if "and" in beside else "false"


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())


# --- Python -------------------------------------------------------------------------------------------------


def of_python(path: Path, text: str) -> Iterator[Mutant]:
    """Conditions of `if`, conditional expressions and comprehensions, and parts of `and` and `or`."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    for node in ast.walk(ast.parse(text)):
        conditions: list[ast.expr] = []
        if isinstance(node, ast.If | ast.IfExp):
            conditions = [node.test]
        elif isinstance(node, ast.comprehension):
            conditions = list(node.ifs)
        for condition in conditions:
            if not isinstance(condition, ast.BoolOp):
                yield from (_of_node(path, text, starts, condition, value) for value in ("True", "False"))
        if isinstance(node, ast.BoolOp):
            neutral = "True" if isinstance(node.op, ast.And) else "False"
            yield from (_of_node(path, text, starts, part, neutral) for part in node.values)


def _of_node(path: Path, text: str, starts: list[int], node: ast.expr, value: str) -> Mutant:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    raw = text.encode()
    start = len(raw[: starts[node.lineno - 1] + node.col_offset].decode())
    end = len(raw[: starts[node.end_lineno - 1] + node.end_col_offset].decode())
    return _mutant(path, text, start, end, value)


def _mutant(path: Path, text: str, start: int, end: int, value: str) -> Mutant:
    line = text.count("\n", 0, start) + 1
    return Mutant(path, line, text[start:end], value, f"{text[:start]}{value}{text[end:]}")


# --- trying -------------------------------------------------------------------------------------------------


class Copy:
    """A copy of the project in which a file is replaced, tests run, and the file is put back.

    Args:
        root: Where it is made.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in NEEDED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
            else:
                shutil.copy(source, root / name)
        for path in ROOT.glob("tests/**/data"):
            (root / path.relative_to(ROOT)).symlink_to(path)

    def killer(self, mutant: Mutant) -> str:
        """What notices the mutant; empty: nothing does."""
        target = self._root / mutant.path
        sound = target.read_text()
        target.write_text(mutant.text)
        try:
            return self.failure(QUICK.get(mutant.path.name) or QUICK[mutant.path.parent.name])
        finally:
            target.write_text(sound)

    def failure(self, quick: Sequence[str]) -> str:
        """What fails: one of these tests, or the explorer; empty: nothing does."""
        if not self._passes("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *quick):
            return "tests"
        minutes = str(EXPLORED_S * len(SCENARIOS) / 60)
        return "" if self._passes("-m", "tests.model", "--minutes", minutes) else "explorer"

    def _passes(self, *arguments: str) -> bool:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(self._root)}
        command = [sys.executable, *arguments]
        try:
            done = subprocess.run(
                command, cwd=self._root, env=environment, capture_output=True, timeout=LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def main() -> int:
    """Try all; 1 if a guard is not missed that is not known to save time alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=[""], nargs="+", help="parts of the names of the files")
    parser.add_argument("--skip", type=int, default=0, help="so many of them")
    parser.add_argument("--beside", type=int, default=os.cpu_count() or 1, help="so many at a time")
    parser.add_argument("--list", action="store_true", help="only print them")
    arguments = parser.parse_args()
    chosen = [each for each in mutants() if any(part in str(each.path) for part in arguments.only)][
        arguments.skip :
    ]
    if arguments.list:
        print(*chosen, sep="\n")
        return 0
    missed = 0
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(arguments.beside) as threads:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for n in range(arguments.beside):
            copies.put(Copy(Path(scratch) / str(n)))

        sound = Copy(Path(scratch) / "sound")
        for quick in QUICK.values():
            if failure := sound.failure(quick):
                raise SystemExit(f"without any mutant {' '.join(quick)} or the explorer fails: {failure}")

        def tried(mutant: Mutant) -> str:
            copy = copies.get()
            try:
                return copy.killer(mutant)
            finally:
                copies.put(copy)

        for n, (mutant, killer) in enumerate(zip(chosen, threads.map(tried, chosen), strict=True), 1):
            reason = TIME_SAVERS.get((mutant.path.name, mutant.change), "")
            verdict = killer or (f"saves time: {reason}" if reason else "NOT MISSED")
            missed += not killer and not reason
            print(f"[{n}/{len(chosen)}] {mutant}: {verdict}", flush=True)
    minutes = (time.monotonic() - begun_s) / 60
    print(f"{len(chosen)} mutants, {missed} not missed, {minutes:.0f} min")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
