"""What ends executors: time limits, and jobs that were cancelled."""

from __future__ import annotations

from pydoredis.protocol.messages import JobEnvironment, Limits, Task
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.executors import INTERRUPT_GRACE_S, Executor, Executors
from pydoredis.worker.core.hiring import Hiring
from pydoredis.worker.core.instructions import Todo
from pydoredis.worker.core.jobs import LoadedJob
from pydoredis.worker.core.lease import Lease, Shelves, State
from pydoredis.worker.core.recycling import Limits as Ages
from pydoredis.worker.core.supervision import Supervision
from tests.worker.core.scene import QUEUE, Scene, same


def lone(scene: Scene, **limits: float) -> tuple[int, Lease]:
    """An executor with the only task, of a job with limits."""
    scene.up()
    scene.job("a", 1)
    environment = PythonCodec(Program(same), limits=Limits(**limits)).encode_environment().value  # type: ignore[arg-type]
    scene.environments = dict.fromkeys(scene.environments, environment)
    scene.pushed()
    return next((number, pipe[0]) for number, pipe in scene.pipes.items() if pipe)


def cancel(scene: Scene, lease: Lease) -> None:
    """The job of a task is over."""
    scene.environments.clear()
    scene.tell(events.Changed([lease.env]))
    scene.answer()


def kills(scene: Scene) -> list[str]:
    return [each.reason for each in scene.said(instructions.Kill)]


def test_a_task_that_runs_for_too_long_is_ended_without_another_look() -> None:
    scene = Scene(timelimit_s=5.0)
    lone(scene)
    scene.now_s += 5.0
    scene.tell()
    assert kills(scene) == ["time limit of 5 s exceeded"]
    assert not scene.said(instructions.Look)


def test_an_executor_is_ended_once_whatever_limits_it_exceeds() -> None:
    scene = Scene(timelimit_s=5.0)
    _, lease = lone(scene, iteration_timelimit_s=5.0)
    scene.wait(6)
    assert len(kills(scene)) == 1
    cancel(scene, lease)
    scene.wait(INTERRUPT_GRACE_S + 1)
    assert len(kills(scene)) == 1
    assert not scene.said(instructions.Interrupt)


def test_both_limits_of_one_moment_end_an_executor_once() -> None:
    scene = Scene(timelimit_s=5.0)
    executor, _ = lone(scene, iteration_timelimit_s=5.0)
    scene.wait(4.999)
    known = scene.core.executors.get(executor)
    assert known is not None
    known.looked_s = scene.now_s + 1
    scene.now_s += 2
    scene.tell()
    assert len(kills(scene)) == 1


def test_a_body_has_time_to_tidy_up_after_its_job_was_cancelled() -> None:
    scene = Scene()
    executor, lease = lone(scene)
    cancel(scene, lease)
    assert [each.executor for each in scene.said(instructions.Interrupt)] == [executor]
    scene.wait(INTERRUPT_GRACE_S - 0.1)
    scene.tell()
    assert not kills(scene)
    scene.wait(0.2)
    assert kills(scene) == ["its job was cancelled"]
    scene.tell()
    assert len(scene.said(instructions.Interrupt)) == 1


def test_what_could_not_be_taken_back_does_not_protect_a_task_that_was_cancelled() -> None:
    """It was begun while it was to be taken back: the answer of the first one is on its way."""
    do, executors = Todo(), Executors(1)
    supervision = Supervision(executors, Hiring(executors, ["cloudpickle"], do), Ages(), 0.0, do)
    executor = Executor(1, "cloudpickle", 0.0, ready="Python")
    job = LoadedJob(1, "env", JobEnvironment("cloudpickle", b"", True))
    shelves = Shelves()
    for n in (1, 2):
        lease = Lease(
            *(QUEUE, Task("J", (n,), b""), "tag", "name"),
            number=n,
            shelves=shelves,
            job=job,
            state=State.WAITING,
        )
        executor.put(lease, 0.0, 0.0)
    executors.add(executor)
    executor.leases[0].cancel()
    supervision.proceed(1.0, stopping=False)
    assert not do, "what waits is taken back first"
    executor.recalled = True
    supervision.proceed(1.0, stopping=False)
    assert do == [instructions.Interrupt(1)]
