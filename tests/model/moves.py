"""What can happen next: steps that happen by themselves, and faults."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.jobs import JOB, NO_ITERATIONS, QUEUE
from tests.model.r_peers import RCoordinator, RWorker
from tests.model.world import DEAD, Line, Universe, World, with_

Step = tuple[str, World]

FADING_S = 3
"""Alive keys that expire after so many seconds belong to tasks that were answered."""


def names(index: int) -> str:
    """The name of an agent."""
    return "abcdefg"[index]


# --- what happens by itself -------------------------------------------------------------------------------


def steps(universe: Universe, world: World) -> Iterator[Step]:
    """All that can happen without a fault.

    An agent that hears something goes first, and others wait: what it hears it only takes note of, so it is
    all the same to them whether it does so before or after what they do.
    """
    listening = hears(universe, world)
    if listening is not None:
        yield from _agent_steps(universe, world, listening)
        return
    for index in universe.living(world):
        yield from _agent_steps(universe, world, index)
    for n, (index, commands) in enumerate(world.ghosts):
        rest = commands[1:]
        others = (*world.ghosts[:n], *(((index, rest),) if rest else ()), *world.ghosts[n + 1 :])
        _, after = universe.execute(world, commands[0], None)
        yield f"ghost of {names(index)}", after._replace(ghosts=others)
    if isinstance(world.coordinator, RCoordinator):
        yield from _r_coordinator_steps(universe, world, world.coordinator)
    else:
        yield from _python_steps(universe, world)
    yield from _r_worker_steps(universe, world)
    yield from _expiries(universe, world)


def looks(universe: Universe, world: World) -> Iterator[Step]:
    """What happens because time goes by: clocks of agents, and looks of the coordinator. Each costs one of
    the looks that are left."""
    if not world.looks or hears(universe, world) is not None:
        return
    for index in universe.living(world):
        view = universe.view(world, index)
        if view.due and not view.words:
            yield f"{names(index)} ticks", _looked(universe.tell(world, index, ("tick",)))
    coordinator = world.coordinator
    if isinstance(coordinator, RCoordinator):
        if coordinator.phase == "wait" and not universe.server.content(world.redis).get(_OUT):
            begun = world._replace(coordinator=coordinator._replace(phase="started"))
            yield "R looks", _looked(_r_step(universe, begun))
    else:
        python = universe.python(world)
        if not python.kind and not python.closed and not python.finished:
            yield "looks", _looked(_python_step(universe, universe.turn(world, ("begin", "check"))))


def hears(universe: Universe, world: World) -> int | None:
    """An agent that is about to hear something: a reply, a change, that there is a connection. So is one
    whose request is half carried out, unless the scenario has others come in between."""
    for index in universe.living(world):
        view = universe.view(world, index)
        if not view.connected or view.answered or world.lines[index].before:
            return index
        if view.position and not universe.scenario.fine:
            return index
    return None


def _looked(world: World) -> World:
    return world._replace(looks=world.looks - 1)


def _agent_steps(universe: Universe, world: World, index: int) -> Iterator[Step]:
    view, line, name = universe.view(world, index), world.lines[index], names(index)
    for executor in view.unready:
        yield f"{name} executor ready", universe.tell(world, index, ("ready", executor))
    for executor, *_ in view.pipes:
        yield f"{name} finishes", universe.tell(world, index, ("finish", executor))
    if not view.connected:
        yield f"{name} connects", universe.tell(world, index, ("connect", world.run))
        return
    if view.next_words is not None:
        yield f"{name} executes {view.position}", execute_next(universe, world, index)
    if line.before:
        yield f"{name} is told", _told(universe, world, index)
    elif view.answered:
        replied = universe.tell(world, index, ("replied",))
        lines = with_(replied.lines, index, line._replace(before=line.after, after=()))
        yield f"{name} is answered", replied._replace(lines=lines)


def execute_next(universe: Universe, world: World, index: int) -> World:
    """The next command of an agent's request is carried out."""
    words = universe.view(world, index).next_words
    assert words is not None
    reply, after = universe.execute(world, words, index)
    return universe.tell(after, index, ("executed", reply))


def _told(universe: Universe, world: World, index: int) -> World:
    line = world.lines[index]
    told = universe.tell(world, index, ("told", line.before))
    return told._replace(lines=with_(told.lines, index, line._replace(before=())))


def _python_steps(universe: Universe, world: World) -> Iterator[Step]:
    python = universe.python(world)
    if python.kind:
        yield f"{python.kind} {len(python.record)}.{len(python.replies)}", _python_step(universe, world)
    elif python.closed:
        return
    elif python.finished:
        yield "ends", _python_step(universe, universe.turn(world, ("begin", "end")))
    elif universe.server.content(world.redis).get(_OUT):
        yield "collects", _python_step(universe, universe.turn(world, ("begin", "collect")))


def _python_step(universe: Universe, world: World) -> World:
    """One command; with it those that follow it and look at nothing that others change meanwhile."""
    words = universe.python(world).next_words
    while words is not None:
        reply, world = universe.execute(world, words, None)
        world = universe.turn(world, ("executed", reply))
        before, words = words, universe.python(world).next_words
        if words is None or not (words[0] in _QUIET or before[0] == words[0] == b"LPOS"):
            break
    return world


def _r_coordinator_steps(universe: Universe, world: World, coordinator: RCoordinator) -> Iterator[Step]:
    if coordinator.phase == "wait" and not universe.server.content(world.redis).get(_OUT):
        return
    if coordinator.words() is not None:
        yield f"R {coordinator.phase}", _r_step(universe, world)


def _r_step(universe: Universe, world: World) -> World:
    """One command. A check that has found no start key goes on to the queue's length in the same step:
    whoever takes the last task in that millisecond makes it take that for lost, however it is marked."""
    coordinator = world.coordinator
    assert isinstance(coordinator, RCoordinator)
    while (words := coordinator.words()) is not None:
        reply, world = universe.execute(world, words, None)
        if coordinator.phase == "wait":
            # That it has taken a result off its list is not forgotten by a failover: nobody could help it.
            world = world._replace(previous=world.redis)
        coordinator = coordinator.heard(universe.job, reply)
        if coordinator.started or coordinator.phase not in ("alive", "length"):
            break
    return world._replace(coordinator=coordinator)


def _r_worker_steps(universe: Universe, world: World) -> Iterator[Step]:
    worker = world.r_worker
    if worker is None:
        return
    content = universe.server.content(world.redis)
    if worker.phase == "idle" and QUEUE.queue.encode() in content:
        payload, after = universe.execute(world, ("LPOP", QUEUE.queue), None)
        after = after._replace(r_worker=RWorker("popped", payload))
        yield "R worker takes", _r_worker_marks(universe, after) if universe.is_r else after
    elif worker.phase == "popped":
        yield "R worker marks", _r_worker_marks(universe, world)
    elif worker.phase == "running":
        _, after = universe.execute(world, worker.result(universe.job), None)
        yield "R worker answers", after._replace(r_worker=worker._replace(phase="pushed"))
    elif worker.phase == "pushed":
        (words,) = worker.commands()
        _, after = universe.execute(world, words, None)
        yield "R worker clears", after._replace(r_worker=RWorker())


def _r_worker_marks(universe: Universe, world: World) -> World:
    assert world.r_worker is not None
    if world.r_worker.payload == NO_ITERATIONS:
        return world._replace(
            r_worker=RWorker()
        )  # R's would answer it, to the harm of its loop (protocol 12.6)
    for words in world.r_worker.commands():
        _, world = universe.execute(world, words, None)
    assert world.r_worker is not None
    return world._replace(r_worker=world.r_worker._replace(phase="running"))


def _expiries(universe: Universe, world: World) -> Iterator[Step]:
    """Keys of whoever is dead expire, and alive keys that nobody refreshes: of tasks answered a while
    ago, or that a failover has brought back."""
    living = universe.living(world)
    dead = [names(n).encode() for n in range(len(world.agents)) if n not in living]
    if world.r_worker is not None and world.r_worker.phase == "dead":
        dead.append(b"r")
    gone = [key for name in dead for key in keys_of(universe, world, name, long=False)]
    coordinator = world.coordinator
    if not isinstance(coordinator, RCoordinator) or coordinator.phase != "alive":
        for key, (_, ttl_s, _) in universe.server.content(world.redis).items():
            if key.startswith(_ALIVE) and (0 <= ttl_s <= FADING_S or _is_forgotten(universe, world, key)):
                gone.append(key)
    if gone:
        yield "keys expire", world._replace(redis=universe.server.without(world.redis, gone))


def _is_forgotten(universe: Universe, world: World, key: bytes) -> bool:
    """Whether an alive key is of an agent that lives and does not hold the task."""
    tag = key.removeprefix(_ALIVE).decode()
    for index in universe.living(world):
        if f" host {names(index)} pid " in tag:
            view = universe.view(world, index)
            return not view.words and all(held != tag for _, _, _, held, _ in view.leases)
    return False


def keys_of(universe: Universe, world: World, name: bytes, *, long: bool) -> list[bytes]:
    """Keys of a machine that expire if it says nothing for 11 s, or for a minute."""
    found = []
    for key, (_, ttl_s, _) in universe.server.content(world.redis).items():
        if ttl_s < 0:
            continue
        if key.startswith(_ALIVE):
            if b" host %b pid " % name in key:
                found.append(key)
        elif key.endswith(b":agent:" + name) or (
            long and (key.endswith(b":batch:" + name) or b" claim %b " % name in key)
        ):
            found.append(key)
    return found


_QUIET = (b"GET", b"EXISTS", b"EXPIRE")
_OUT = QUEUE.out(JOB).encode()
_ALIVE = QUEUE.alive(JOB, "").encode()
_START = QUEUE.start(JOB, "").encode()


# --- faults -----------------------------------------------------------------------------------------------


def faults(universe: Universe, world: World) -> Iterator[Step]:
    """All that can go wrong."""
    if not world.faults:
        return
    wanted = universe.scenario.faults
    struck = world._replace(faults=world.faults - 1)
    for index in universe.living(world):
        for name, after in _agent_faults(universe, struck, index):
            if name in wanted:
                yield f"{names(index)}: {name}", after
    for name, after in _other_faults(universe, struck):
        if name in wanted:
            yield name, after


def _agent_faults(universe: Universe, world: World, index: int) -> Iterator[Step]:
    view = universe.view(world, index)
    for executor, tasks, iterations, finished in view.pipes:
        for at in range(finished, iterations):
            yield "death", _death(universe, world, index, ("die", executor, at))
        if tasks == 1:
            yield "interrupt", _death(universe, world, index, ("interrupt", executor))
    if view.words and view.connected:
        cut = lose(universe, world, index)
        yield "lost", cut
        rest = view.words[view.position :]
        if rest:
            yield "late", cut._replace(ghosts=(*cut.ghosts, (index, rest)))
    gone = world._replace(agents=with_(world.agents, index, DEAD), lines=with_(world.lines, index, Line()))
    yield "crash", gone._replace(uncounted=gone.uncounted + view.uncounted)
    for name, seconds in ("pause", 11), ("long pause", 61):
        keys = keys_of(universe, world, names(index).encode(), long=seconds > 60)
        slept = universe.tell(world, index, ("pause", seconds))
        yield name, slept._replace(redis=universe.server.without(slept.redis, keys))
    yield "signal", universe.tell(world, index, ("signal",))


def lose(universe: Universe, world: World, index: int) -> World:
    """An agent's connection is lost."""
    lost = universe.tell(world, index, ("lost",))
    return lost._replace(lines=with_(lost.lines, index, Line()))


def _death(
    universe: Universe, world: World, index: int, action: tuple[str, int] | tuple[str, int, int]
) -> World:
    before = universe.view(world, index).uncounted
    after = universe.tell(world, index, action)
    noted = universe.view(after, index).uncounted > before
    return after._replace(deaths=after.deaths + 1, uncounted=after.uncounted + (not noted))


def _other_faults(universe: Universe, world: World) -> Iterator[Step]:
    if not isinstance(world.coordinator, RCoordinator):
        python = universe.python(world)
        if python.words:
            yield "coordinator lost", universe.turn(world, ("lost",))
            words = python.next_words
            assert words is not None
            _, after = universe.execute(world, words, None)
            yield "coordinator lost", universe.turn(after, ("lost",))
    starts = [key for key in universe.server.content(world.redis) if key.startswith(_START)]
    if starts:
        yield "start keys deleted", universe.execute(world, ("DEL", *starts), None)[1]
    if world.previous != world.redis:
        yield "failover", failover(universe, world)
    # One that dies after it has answered leaves its start key; an R coordinator then submits the task again.
    safe = ("dead", "pushed") if universe.is_r else ("dead",)
    if world.r_worker is not None and world.r_worker.phase not in safe:
        yield "R worker dies", world._replace(r_worker=RWorker("dead"))


def failover(universe: Universe, world: World) -> World:
    """Another server takes over, which has not heard of the last write."""
    world = world._replace(
        redis=world.previous, run=world.run + 1, ghosts=(), uncounted=world.uncounted + 100
    )
    for index in universe.living(world):
        if universe.view(world, index).connected:
            world = lose(universe, world, index)
    if not isinstance(world.coordinator, RCoordinator) and universe.python(world).words:
        world = universe.turn(world, ("lost",))
    return world
