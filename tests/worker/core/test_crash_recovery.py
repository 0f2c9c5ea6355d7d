"""How often a task is tried whose executor died, and what it is told."""

from __future__ import annotations

import pytest

from pydoredis.protocol.claims import Crash
from pydoredis.protocol.messages import JobEnvironment, Limits, Task, Verdict
from pydoredis.worker.core.crash_recovery import INTERRUPTED, CrashRecovery, decide, verdict
from pydoredis.worker.core.executors import Executor
from pydoredis.worker.core.jobs import LoadedJob
from pydoredis.worker.core.lease import Lease, Shelves, State
from tests.worker.core.scene import QUEUE


def test_a_task_is_tried_again_at_once_then_later_then_never() -> None:
    decisions = [decide(n, 3, some_finished=False) for n in (1, 2, 3, 4)]
    assert decisions == ["give-back", "wait", "condemn", "condemn"]
    assert decide(1, 1, some_finished=False) == "condemn"


def test_a_task_that_is_partly_finished_stays_here() -> None:
    assert [decide(n, 3, some_finished=True) for n in (1, 2, 3)] == ["again", "wait", "condemn"]


def test_a_verdict_names_the_cause() -> None:
    message = "the worker process died 3 times on this iteration: killed by SIGKILL"
    assert verdict(3, "killed by SIGKILL") == Verdict("crash", message)


def test_a_verdict_on_an_iteration_that_was_interrupted() -> None:
    message = "the iteration was interrupted once, and not because its job was cancelled"
    assert verdict(1, INTERRUPTED) == Verdict("crash", message)


def running(max_crashes: int | None = None, *, cancelled: bool = False) -> Lease:
    """A task of two iterations that runs; its job may have a limit of its own."""
    environment = JobEnvironment("cloudpickle", b"", True, Limits(max_crashes=max_crashes))
    task = Task("J", (4, 5), b"task")
    job = LoadedJob(1, "env", environment)
    lease = Lease(QUEUE, task, "tag", "name", shelves=Shelves(), job=job, state=State.RUNNING)
    lease.cancelled = cancelled
    return lease


@pytest.mark.parametrize("cancelled", [True, False])
def test_an_interrupt_ends_a_task_only_if_its_job_was_cancelled(cancelled: bool) -> None:
    lease = running(cancelled=cancelled)
    CrashRecovery(3, 10.0).interrupted(lease, 1)
    assert lease.state is (State.DROPPED if cancelled else State.FALLEN)
    if not cancelled:
        assert lease.death is not None
        assert (lease.death.iteration, lease.death.cause) == (5, INTERRUPTED)


@pytest.mark.parametrize(("own", "state"), [(None, State.DELAYED), (2, State.WAITING)])
def test_a_job_may_have_a_limit_of_its_own(own: int | None, state: State) -> None:
    lease = running(own)
    lease.fall(4, "killed")
    CrashRecovery(3, 10.0).counted(lease, (Crash(4, 2, "killed"),), 0.0)
    assert lease.state is state
    assert list(lease.verdicts) == ([4] if own else [])


def test_a_task_whose_environment_is_not_known_has_the_limit_of_the_agent() -> None:
    lease = running()
    lease.job = None
    lease.fall(4, "killed")
    CrashRecovery(2, 10.0).counted(lease, (Crash(4, 2, "killed"),), 0.0)
    assert list(lease.verdicts) == [4]


@pytest.mark.parametrize("iteration", [5, None])
def test_what_ran_for_too_long(iteration: int | None) -> None:
    lease = running()
    executor = Executor(1, "cloudpickle", 0.0, timed_out=True)
    executor.leases.append(lease)
    CrashRecovery(3, 10.0).died(executor, "time limit", iteration, blame=True)
    assert list(lease.verdicts) == ([5] if iteration else [4, 5])
    assert lease.state is (State.WAITING if iteration else State.ANSWERED)


def test_who_waits_behind_the_one_that_ran_is_not_to_blame() -> None:
    first, second = running(), running()
    executor = Executor(1, "cloudpickle", 0.0)
    executor.leases.extend((first, second))
    CrashRecovery(3, 10.0).died(executor, "killed", 4, blame=True)
    assert (first.state, second.state) == (State.FALLEN, State.WAITING)


@pytest.mark.parametrize(("iteration", "told", "kept"), [(5, 5, 1), (4, None, 0), (99, None, 0)])
def test_a_death_outside_of_what_was_to_be_run_is_put_down_to_the_task(
    iteration: int, told: int | None, kept: int
) -> None:
    lease = running()
    lease.kept = [(1, b"what iteration 4 gave")]
    executor = Executor(1, "cloudpickle", 0.0)
    executor.leases.append(lease)
    CrashRecovery(3, 10.0).died(executor, "killed", iteration, blame=True)
    assert lease.death is not None
    assert (lease.death.iteration, len(lease.kept)) == (told, kept)


def test_a_death_on_an_iteration_that_was_given_up_is_put_down_to_the_task() -> None:
    lease = running()
    lease.verdicts[5] = verdict(3, "killed")
    executor = Executor(1, "cloudpickle", 0.0)
    executor.leases.append(lease)
    CrashRecovery(3, 10.0).died(executor, "killed", 5, blame=True)
    assert lease.death is not None
    assert lease.death.iteration is None


def test_deaths_on_other_iterations_do_not_count() -> None:
    lease = running()
    lease.fall(4, "killed")
    crashes = (Crash(4, 1, "killed"), Crash(5, 2, "killed"))
    CrashRecovery(3, 10.0).counted(lease, crashes, 0.0)
    assert lease.state is State.RETURNING


@pytest.mark.parametrize(("cause", "due_s"), [("killed", 60.0), (INTERRUPTED, 50.0)])
def test_time_mends_a_machine_but_no_body_that_interrupts_itself(cause: str, due_s: float) -> None:
    lease = running()
    lease.fall(4, cause)
    CrashRecovery(3, 10.0).counted(lease, (Crash(4, 2, cause),), 50.0)
    assert (lease.state, lease.due_s) == (State.DELAYED, due_s)
