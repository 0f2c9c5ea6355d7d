"""What is promised (`docs/architecture.md`), as conditions on single states."""

from __future__ import annotations

from collections.abc import Iterator

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol import wire
from pydoredis.protocol.codec import Declined
from pydoredis.protocol.keys import TaskTag
from tests.model.jobs import CRASHED, JOB, QUEUE, value_of
from tests.model.moves import names
from tests.model.r_peers import RCoordinator
from tests.model.server import Content
from tests.model.world import Universe, World

_LOSING = frozenset({"failover"})
"""Faults after which a task may be nowhere until a coordinator finds out: the server forgot where it was."""

_ALIVE = QUEUE.alive(JOB, "").encode()
_START = QUEUE.start(JOB, "").encode()
_OUT = QUEUE.out(JOB).encode()
_LISTS = (QUEUE.queue.encode(), QUEUE.python.encode())
_ASIDE = QUEUE.aside("").encode()


def broken(universe: Universe, world: World) -> Iterator[str]:
    """What this state breaks of what is promised, in words."""
    content = universe.server.content(world.redis)
    yield from _marks(content)
    yield from _values(universe, world)
    yield from _counts(universe, world, content)
    if isinstance(world.coordinator, RCoordinator):
        yield from _answers(universe, world.coordinator, content)
    if world.run == 1:
        yield from _somewhere(universe, world, content)
        yield from _deaths(universe, world, content)


def _marks(content: Content) -> Iterator[str]:
    """Marks are as R peers expect them: alive keys expire, start keys hold the iterations of their names."""
    for key, (_, ttl_s, value) in content.items():
        if key.startswith(_ALIVE) and ttl_s < 0:
            yield f"an alive key without an expiry: {key!r}"
        if key.startswith(_START):
            tag = TaskTag.parse(key.removeprefix(_START).decode())
            if value != wire.encode_start(range(tag.first, tag.last + 1)):
                yield f"a start key that holds something else than its iterations: {key!r}"


def _values(universe: Universe, world: World) -> Iterator[str]:
    """Each value is exact; an error stands only for an iteration that killed its workers."""
    coordinator = world.coordinator
    if isinstance(coordinator, RCoordinator):
        values = dict(coordinator.values)
    else:
        values = universe.python(world).values
        if universe.python(world).repeated:
            yield f"iterations that came to the program twice: {universe.python(world).repeated}"
    for number, value in values.items():
        if value != value_of(number) and not (
            value == CRASHED and world.deaths >= universe.scenario.max_crashes
        ):
            yield f"iteration {number} has the value {value!r}"


def _counts(universe: Universe, world: World, content: Content) -> Iterator[str]:
    """The count is the sum of what agents are counted for, and of R's workers, whose death nobody notices."""
    counted = int(content.get(QUEUE.count.encode(), ("", -1, b"0"))[2])
    agents = content.get(QUEUE.agents.encode(), ("", -1, ()))[2]
    expected = sum(int(workers) for _, workers in agents) + (world.r_worker is not None)
    if counted != expected:
        yield f"{counted} workers are counted; there are {expected} of {agents}"


def _answers(universe: Universe, coordinator: RCoordinator, content: Content) -> Iterator[str]:
    """An R coordinator, which counts messages, gets one for each task."""
    messages = content.get(_OUT, ("", -1, ()))[2]
    blocks = [*coordinator.received, *(tuple(universe.job.read(message)) for message in messages)]
    for block in set(blocks):
        if blocks.count(block) > 1:
            yield f"an R coordinator gets {blocks.count(block)} results of task {block}"
    if coordinator.phase == "failed":
        yield "an R coordinator takes tasks of several iterations for lost, and fails (protocol 12.4)"


def _somewhere(universe: Universe, world: World, content: Content) -> Iterator[str]:
    """A task is queued, marked, set aside, or answered (promise 4)."""
    coordinator = world.coordinator
    if isinstance(coordinator, RCoordinator):
        if coordinator.checking or coordinator.phase != "wait":
            return  # what it has taken from the dead is in its hands
        done = {number for number, _ in coordinator.values}
    else:
        python = universe.python(world)
        if python.kind or python.closed:
            return
        done = set(python.values)
    if world.r_worker is not None and world.r_worker.phase in ("popped", "dead"):
        return  # R takes first, and marks then
    queued = {payload for name in _LISTS for payload in content.get(name, ("", -1, ()))[2]}
    for key in content:
        if key.startswith(_ASIDE):
            queued.update(content[key][2])
    marked = [key for key in content if key.startswith((_START, _ALIVE))]
    answered = {
        number for message in content.get(_OUT, ("", -1, ()))[2] for number in _numbers(universe, message)
    }
    for block, payload in universe.job.payloads.items():
        if done.issuperset(block) or payload in queued or answered.issuperset(block):
            continue
        name = b".iters %d...%d host " % (block[0], block[-1])
        if not any(name in key for key in marked):
            yield f"task {block} is nowhere"


def _numbers(universe: Universe, message: bytes) -> list[int]:
    try:
        return list(universe.job.read(message))
    except Declined as declined:
        return list(declined.numbers)
    except RemoteProtocolError:
        return []


def _deaths(universe: Universe, world: World, content: Content) -> Iterator[str]:
    """Each death of an executor is counted once."""
    fields = dict(content.get(QUEUE.crashes.encode(), ("", -1, ()))[2])
    counted = sum(int(count) for name, count in fields.items() if count and not name.endswith(b":cause"))
    pending = sum(universe.view(world, n).uncounted for n in universe.living(world))
    if not world.deaths - world.uncounted - pending <= counted <= world.deaths:
        yield f"{counted} deaths are counted of {world.deaths}, {pending} are still to be"


def left(universe: Universe, world: World) -> Iterator[str]:
    """What is wrong after the end of everything: keys that stay for ever, workers counted that are gone."""
    content = universe.server.content(world.redis)
    rest = [QUEUE.live.encode(), QUEUE.count.encode()]
    if world.run > 1:
        # A failover may forget that they were deleted, when nobody is left who would delete them again.
        rest += [QUEUE.env(JOB).encode(), _OUT, *(key for key in content if key.startswith(_START))]
    for key, (_, ttl_s, value) in content.items():
        if ttl_s < 0 and key not in rest:
            yield f"a key is left: {key!r} {value!r}"
    counted = content.get(QUEUE.count.encode(), ("", -1, b"0"))[2]
    if int(counted) != (world.r_worker is not None):
        yield f"{counted!r} workers are counted when all have left"


def unlike_the_living(universe: Universe, world: World) -> Iterator[str]:
    """Whether the count is wrong once everybody has looked."""
    content = universe.server.content(world.redis)
    living = sum(universe.view(world, n).serving for n in universe.living(world)) + (
        world.r_worker is not None
    )
    counted = int(content.get(QUEUE.count.encode(), ("", -1, b"0"))[2])
    if counted != living:
        there = [names(n) for n in universe.living(world)]
        yield f"{counted} workers are counted, {living} are there; agents: {there}"
