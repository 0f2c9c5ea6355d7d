"""Visits the states of a world breadth first."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model import promises
from tests.model.ending import Ending, WrongError
from tests.model.moves import Step, faults, looks, steps
from tests.model.server import Server
from tests.model.world import Scenario, Universe, World

_SHOWN = 100


@dataclass
class Report:
    """What was seen.

    Attributes:
        states: Different states.
        transitions: Steps between them.
        depth: Of the last state that was looked at: steps from the nearest state of the run without faults.
        whole: Whether all states that can be reached were seen.
        endings: States that were run to their end.
        seconds: How long it took.
        wrong: What was found wrong, if anything was.
        path: The steps to there.
    """

    states: int = 0
    transitions: int = 0
    depth: int = 0
    whole: bool = False
    endings: int = 0
    seconds: float = 0.0
    wrong: str = ""
    path: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        seen = "all" if self.whole else f"to depth {self.depth}"
        text = (
            f"{self.states} states ({seen}), {self.transitions} transitions, {self.endings} endings, "
            f"{self.seconds:.1f} s"
        )
        if not self.wrong:
            return text
        path = self.path[:_SHOWN] + ["..."] * (len(self.path) > _SHOWN)
        return f"{text}\nWRONG: {self.wrong}\n  " + "\n  ".join(path)


def explore(server: Server, scenario: Scenario, *, seconds: float, every: int = 1) -> Report:
    """Visit states for so long; each `every`th of them is run to its end."""
    with contextlib.closing(Universe(server, scenario)) as universe:
        return _explore(universe, seconds=seconds, every=every)


def _explore(universe: Universe, *, seconds: float, every: int) -> Report:
    ending = Ending(universe)
    report = Report()
    begun_s = time.process_time()
    first = universe.first()
    came_from: dict[World, tuple[World, str] | None] = {first: None}
    waiting = deque((world, 0) for world in _course(universe, first, came_from))
    try:
        while waiting and time.process_time() - begun_s < seconds:
            world, report.depth = waiting.popleft()
            if report.states % every == 0:
                report.endings += 1
                ending.check(world)
            report.states += 1
            for label, after in _all(universe, world):
                report.transitions += 1
                if after not in came_from:
                    came_from[after] = world, label
                    wrong = next(promises.broken(universe, after), "")
                    if wrong:
                        world = after
                        raise WrongError(wrong, [])
                    waiting.append((after, report.depth + 1))
        report.whole = not waiting
    except (WrongError, AssertionError) as error:
        report.wrong = f"{type(error).__name__}: {error}"
        report.path = _path(came_from, world)
        if isinstance(error, WrongError) and error.path:
            report.path += ["... and then, without faults:", *error.path]
    report.seconds = time.process_time() - begun_s
    return report


def _course(
    universe: Universe, world: World, came_from: dict[World, tuple[World, str] | None]
) -> Iterator[World]:
    """The states of a run without faults. All of them are beginnings, so that faults strike anywhere."""
    while True:
        yield world
        possible = list(steps(universe, world))
        if not possible:
            return
        # In turn, so that all are at work.
        label, after = possible[len(came_from) % len(possible)]
        came_from.setdefault(after, (world, label))
        world = after


def _all(universe: Universe, world: World) -> Iterator[Step]:
    yield from steps(universe, world)
    yield from looks(universe, world)
    yield from faults(universe, world)


def _path(came_from: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    path = []
    while (before := came_from[world]) is not None:
        world, label = before
        path.append(label)
    return path[::-1]
