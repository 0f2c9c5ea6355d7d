"""How it ends when nothing goes wrong any more: the job with exact values, and nothing is left behind."""

from __future__ import annotations

import contextlib

from tests.model import promises
from tests.model.moves import Step, looks, names, steps
from tests.model.r_peers import RCoordinator
from tests.model.world import Line, Universe, World

MOST_STEPS = 2000
"""After so many steps without rest it will not end any more."""

MOST_ROUNDS = 40
"""So often everybody looks for what is lost, until the loop has to be at its end."""

ROUNDS_AFTER = 2
"""Beats of each agent after the job, in which it tidies up."""


class WrongError(Exception):
    """It ends badly; `path` are the steps to there."""

    def __init__(self, what: str, path: list[str]) -> None:
        super().__init__(what)
        self.path = path


class _KnownError(Exception):
    """A world was met that is known to end well."""


class Ending:
    """Runs worlds to their ends, each one that is met once.

    Args:
        universe: Where they are.

    Attributes:
        steps: How many steps were taken.
    """

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._ends_well: set[World] = set()
        self._path: list[str] = []
        self.steps = 0

    def check(self, world: World) -> None:
        """Run a world to its end.

        Raises:
            WrongError: If that is none as was promised.
        """
        self._path = []
        met: list[World] = []
        world = world._replace(faults=0, looks=1_000_000)
        if all(self._universe.view(world, n).stopping for n in self._universe.living(world)):
            world = self._arrive(world)
        with contextlib.suppress(_KnownError):
            for phase in (self._until_closed, self._tidy, self._leave):
                world = phase(world, met)
            self._demand(next(promises.left(self._universe, world), ""))
        self._ends_well.update(met)

    def _demand(self, wrong: str) -> None:
        if wrong:
            raise WrongError(wrong, self._path)

    def _arrive(self, world: World) -> World:
        """Where nobody is left, somebody comes."""
        number, redis = self._universe.arrive(names(len(world.agents)), world.redis)
        lines = (*world.lines, Line(before=("Q",)))
        return world._replace(redis=redis, agents=(*world.agents, number), lines=lines)

    # --- phases -------------------------------------------------------------------------------------------

    def _until_closed(self, world: World, met: list[World]) -> World:
        """Until the loop has ended."""
        for _ in range(MOST_ROUNDS):
            world = self._settle(world, met)
            if self._closed(world):
                self._demand(self._lacking(world))
                return world
            world = self._everybody_looks(world, met)
        raise WrongError("the loop does not end", self._path)

    def _tidy(self, world: World, met: list[World]) -> World:
        """Agents look after what is left."""
        for _ in range(ROUNDS_AFTER):
            world = self._everybody_looks(world, met)
        self._demand(next(promises.unlike_the_living(self._universe, world), ""))
        return world

    def _leave(self, world: World, met: list[World]) -> World:
        """All agents are told to stop."""
        for index in self._universe.living(world):
            world = self._universe.tell(world, index, ("signal",))
            world = self._settle(world, met)
        if self._universe.living(world):
            raise WrongError("an agent does not stop", self._path)
        return world

    # --- steps --------------------------------------------------------------------------------------------

    def _settle(self, world: World, met: list[World]) -> World:
        """Do all that happens by itself."""
        for _ in range(MOST_STEPS):
            if world in self._ends_well:
                raise _KnownError
            step = next(steps(self._universe, world), None)
            if step is None:
                return world
            met.append(world)
            world = self._go(step)
        raise WrongError("it does not come to rest", self._path)

    def _everybody_looks(self, world: World, met: list[World]) -> World:
        for label in [label for label, _ in looks(self._universe, world)]:
            step = next((step for step in looks(self._universe, world) if step[0] == label), None)
            if step is not None:
                world = self._settle(self._go(step), met)
        return world

    def _go(self, step: Step) -> World:
        self.steps += 1
        self._path.append(step[0])
        self._demand(next(promises.broken(self._universe, step[1]), ""))
        return step[1]

    # --- the loop -----------------------------------------------------------------------------------------

    def _closed(self, world: World) -> bool:
        if isinstance(world.coordinator, RCoordinator):
            return world.coordinator.phase == "closed"
        return self._universe.python(world).closed

    def _lacking(self, world: World) -> str:
        if isinstance(world.coordinator, RCoordinator):
            found = set(dict(world.coordinator.values))
        else:
            found = set(self._universe.python(world).values)
        lacking = sorted(set(self._universe.job.iterations) - found)
        return f"the loop ends without iterations {lacking}" if lacking else ""
