"""When an agent looks at its queues: at once where there may be tasks, with pauses where nobody tells it."""

from __future__ import annotations

import math

from pydoredis.protocol.agent_commands import RefusedError, Take, Taken, TakenTask
from pydoredis.worker.core.conversation import FIRST_POLL_S, LONGEST_POLL_S, QUIET_S, Conversation
from pydoredis.worker.core.events import Connected, Lost, Replied
from pydoredis.worker.core.instructions import Todo
from tests.worker.core.scene import QUEUE

NOW_S = 100.0
TASK = TakenTask(QUEUE, b"task", "tag")


def conversation(*, tracking: bool, agents: int = 1) -> Conversation:
    """One that has a connection."""
    made = Conversation("redis://server", Todo())
    made.connected(Connected("run 1", tracking))
    made.agents = agents
    return made


def look(made: Conversation, *, free: int = 1, found: int = 0, more: bool = False) -> None:
    """The agent has looked, and this is what it got."""
    take = Take(1, free, {}, {}, (1,), "now")
    made.looked(take, Taken(tasks=(TASK,) * found, more=more), NOW_S)


def test_who_is_told_of_tasks_looks_when_it_was_told() -> None:
    made = conversation(tracking=True)
    assert made.stale
    assert made.look_s((1,), some_ahead=False) == 0.0
    look(made)
    assert not made.stale
    made.changed()
    assert made.stale
    assert made.look_s((1,), some_ahead=False) == NOW_S


def test_who_is_not_told_looks_again_and_again_with_pauses_that_grow() -> None:
    made = conversation(tracking=False)
    pauses = []
    for _ in range(10):
        look(made)
        pauses.append(made.look_s((1,), some_ahead=False) - NOW_S)
    assert FIRST_POLL_S / 2 <= pauses[0] <= FIRST_POLL_S
    assert LONGEST_POLL_S / 2 <= pauses[-1] <= LONGEST_POLL_S
    assert made.look_s((0,), some_ahead=True) == made.look_s((1,), some_ahead=False), (
        "it may have become free meanwhile"
    )
    look(made, found=1)
    assert made.look_s((1,), some_ahead=False) == 0.0
    look(made)
    assert made.look_s((1,), some_ahead=False) - NOW_S <= FIRST_POLL_S


def test_of_many_that_are_told_of_one_task_those_rest_that_had_time_and_got_none() -> None:
    made = conversation(tracking=True, agents=10)
    rests = []
    for _ in range(50):
        look(made)
        made.changed()
        rests.append(made.look_s((1,), some_ahead=False) - NOW_S)
    assert 0 <= min(rests) < max(rests) <= 9 * QUIET_S
    look(made, free=0)
    made.changed()
    assert made.look_s((1,), some_ahead=False) == 0.0, "it had no time"


def test_what_may_not_be_held_ahead_waits_until_somebody_is_free() -> None:
    made = conversation(tracking=True)
    look(made, free=2, found=1, more=True)
    assert made.look_s((0,), some_ahead=True) == math.inf
    assert made.look_s((1,), some_ahead=False) == 0.0
    look(made, free=1, found=1, more=True)
    assert made.look_s((0,), some_ahead=True) == 0.0


def test_who_had_no_time_looks_as_soon_as_somebody_is_free() -> None:
    made = conversation(tracking=False)
    look(made, free=0, more=True)
    assert made.look_s((0,), some_ahead=True) == 0.0
    assert made.look_s((1,), some_ahead=False) == 0.0


def test_a_new_connection_repeats_what_was_asked_and_nothing_else() -> None:
    do = Todo()
    made = Conversation("redis://server", do)
    made.connected(Connected("run 1", tracking=True))
    assert not do
    made.ask([Take(1, 1, {}, {}, (1,), "now")])
    (ask,) = do
    made.connected(Connected("run 1", tracking=True))
    assert do == [ask, ask]


def test_while_there_is_no_connection_nothing_is_due() -> None:
    made = conversation(tracking=True)
    made.ask([Take(1, 1, {}, {}, (1,), "now")])
    made.replied(Replied(1, [RefusedError("OOM")]), NOW_S)
    made.lost(Lost("reset"))
    assert made.due_s() == math.inf
    assert not made.may_ask(NOW_S + 10)


def test_while_a_request_is_under_way_nothing_is_due() -> None:
    made = conversation(tracking=True)
    made.ask([Take(1, 1, {}, {}, (1,), "now")])
    made.replied(Replied(1, [RefusedError("OOM")]), NOW_S)
    assert NOW_S < made.due_s() < math.inf
    assert made.may_ask(NOW_S + 10)
    made.ask([Take(1, 1, {}, {}, (1,), "now")])
    made.refused("OOM", NOW_S)
    assert made.due_s() == math.inf
