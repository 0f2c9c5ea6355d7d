"""What becomes of tasks as they come off the queues."""

from __future__ import annotations

import pytest

import rinterop
from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import Taken, TakenTask
from pydoredis.protocol.messages import Codec
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.protocol.wire import decode_task
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.lease import State
from pydoredis.worker.core.prefetch import AGENT_AHEAD_S, MAX_IN_AGENT, PIPE_AHEAD_S, fitting
from rinterop import values
from tests.worker.core.scene import ENVIRONMENT, QUEUE, Scene, same, task
from tests.worker.core.test_prefetch import held, served

R_ENVIRONMENT = rinterop.dumps(values.named_list(expr=values.NULL, exportenv=values.NULL))


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.up()
    scene.environments[QUEUE.env("a")] = ENVIRONMENT
    return scene


def take(scene: Scene, *tasks: TakenTask) -> None:
    """A look at the queues finds these."""
    scene.tell(events.Changed([QUEUE.queue]))
    environments = {QUEUE.env("a"): scene.environments[QUEUE.env("a")]}
    scene.step({commands.Take: Taken(tasks, environments)})


@pytest.mark.parametrize(("first", "last", "block"), [(1, 3, "1...3"), (3, 1, "3...1")])
def test_a_task_that_was_marked_and_cannot_be_read_is_answered_with_the_reason(
    scene: Scene, first: int, last: int, block: str
) -> None:
    tag = f"iters {block} host h pid 1 begin now"
    payload = task("a", 1)
    take(scene, TakenTask(QUEUE, payload[:-1], tag))
    ((claim, result),) = scene.requested(commands.Publish)[0].results
    assert (claim.task.first, claim.task.last) == (first, last)
    assert len(claim.task.iterations) == 3
    assert claim.task.job == decode_task(payload).job
    assert b"the task cannot be run" in bytes(result)
    assert claim.name.startswith(tag)
    assert claim.tag == tag


def test_what_was_set_aside_and_cannot_be_read_is_buried(scene: Scene) -> None:
    take(scene, TakenTask(QUEUE, b"unreadable", None))
    (bury,) = scene.requested(commands.Bury)
    assert bury.payload == b"unreadable"
    assert not len(scene.core.shelves)
    assert "kept in" in scene.log()


def test_what_was_set_aside_runs_after_it_was_marked(scene: Scene) -> None:
    take(scene, TakenTask(QUEUE, task("a", 1), None))
    assert scene.core.shelves.count(State.ASIDE) == 1
    assert not any(scene.pipes.values())
    scene.answer()
    assert sum(map(len, scene.pipes.values())) == 1


def test_an_environment_that_is_known_is_not_sent_again(scene: Scene) -> None:
    scene.job("a", 1)
    scene.pushed()
    scene.tell(events.Changed([QUEUE.queue]))
    taken = TakenTask(QUEUE, task("a", 2), "iters 2...2 host h pid 1 begin now")
    scene.step({commands.Take: Taken((taken,), {QUEUE.env("a"): commands.KNOWN})})
    assert scene.core.shelves.count(State.RUNNING) == 2
    assert not scene.requested(commands.Fetch)


def test_a_task_without_iterations_is_let_go_of(scene: Scene) -> None:
    """An answer would count as a result of its job."""
    payload = PythonCodec(Program(same)).encode_task("a", 1, [])
    take(scene, TakenTask(QUEUE, payload, None))
    (bury,) = scene.requested(commands.Bury)
    assert (bury.payload, bury.keep) == (payload, False)
    assert not len(scene.core.shelves)
    assert "dropped a task without iterations of job a" in scene.log()


def test_a_marked_task_of_a_job_that_cannot_be_told_is_answered_for_no_job(scene: Scene) -> None:
    """So the script that publishes finds the job gone, and takes the marks away."""
    take(scene, TakenTask(QUEUE, b"unreadable", "iters 1...1 host h pid 1 begin now"))
    ((claim, _),) = scene.requested(commands.Publish)[0].results
    assert claim.env == QUEUE.env("")


def test_a_task_on_which_nobody_died_is_run_without_another_question(scene: Scene) -> None:
    take(scene, TakenTask(QUEUE, task("a", 1), "iters 1...1 host h pid 1 begin now"))
    assert scene.core.shelves.count(State.RUNNING) == 1
    assert not scene.requested(commands.LookUpCrashes)


@pytest.mark.parametrize(
    ("served_here", "environment", "end"),
    [
        (("r",), ENVIRONMENT, "python"),
        (("r",), R_ENVIRONMENT, "tail"),
        (("r", "cloudpickle"), ENVIRONMENT, "tail"),
    ],
)
def test_a_task_that_is_refused_goes_where_others_find_it(
    served_here: tuple[Codec, ...], environment: bytes, end: str
) -> None:
    """A list that only Python workers serve is of use if the agent is none."""
    scene = Scene(codecs=served_here)
    scene.up()
    scene.refusal = lambda environment: "it is not served here"
    scene.environments[QUEUE.env("a")] = environment
    take(scene, TakenTask(QUEUE, task("a", 1), "iters 1...1 host h pid 1 begin now"))
    assert [each.end for each in scene.requested(commands.GiveBack)] == [end]


# --- room -------------------------------------------------------------------------------------------------


def test_no_task_is_taken_for_an_executor_that_is_being_started(scene: Scene) -> None:
    scene.job("a", 4)
    scene.pushed()
    scene.die(2, 2)
    scene.answer()
    scene.wait(1)
    scene.answer()
    assert len(scene.queue) == 3, "the one that killed it went back"
    scene.tell(events.Ready(3, "Python"))
    scene.answer()
    assert len(scene.queue) == 2


def test_nothing_is_fetched_ahead_for_who_is_given_no_more_tasks() -> None:
    seconds = 0.0001
    scene = Scene(max_memory_mb=100)
    scene.up()
    scene.job("a", 2000)
    scene.pushed()
    served(scene, 200, seconds)
    scene.tell(events.Memory(1, 200_000_000))
    assert len(scene.said(instructions.Hire)) == 3
    for _ in range(400):
        scene.finish(2, seconds)
        scene.answer()
    for_one = fitting(PIPE_AHEAD_S, seconds) + min(MAX_IN_AGENT, fitting(AGENT_AHEAD_S, seconds))
    assert held(scene) <= for_one + 2, "and what runs"


def test_tasks_are_fetched_ahead_in_batches() -> None:
    scene = Scene(workers=1)
    scene.up()
    scene.job("a", 2000)
    scene.pushed()
    served(scene, 1000)
    before = len(scene.requested(commands.Take))
    served(scene, 500)
    assert 500 / MAX_IN_AGENT <= len(scene.requested(commands.Take)) - before <= 2 * 500 / MAX_IN_AGENT + 1
