"""What an agent holds: in whatever order things happen, each task stands in one place, until its end."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import JobEnvironment, Task
from pydoredis.store import Claim
from pydoredis.worker.hands import Arrived, Death, Hands
from pydoredis.worker.jobs import Job
from pydoredis.worker.run import Run

KEYS = QueueKeys("Q")
JOBS = [Job(number, JobEnvironment("cloudpickle", b"")) for number in range(3)]
PLACES = st.integers(0, 100)


class AgentAtWork(RuleBasedStateMachine):
    """An agent with executors and a server, without processes and connections.

    Its moves are those of `Agent`, in any order; which of them a real agent makes when is for other tests.
    Here it is whether any task is forgotten, kept twice, begun too early, or begun after it was cancelled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hands = Hands()
        self.now_s = 0.0
        self.made = 0
        self.due: dict[int, float] = {}
        self.running: list[Run] = []
        self.ended: list[int] = []

    # --- tasks come ---------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 4))
    def takes(self, count: int) -> None:
        for _ in range(count):
            self.made += 1
            self.hands.taken.append((KEYS, b"%d" % self.made))

    @precondition(lambda self: self.hands.taken)
    @rule(job=st.sampled_from(JOBS))
    def reads(self, job: Job) -> None:
        keys, payload = self.hands.taken.popleft()
        number = int(payload)
        self.hands.unmarked.append(Claim(keys, Task(f"job {job.number}", (number,), payload), "tag"))

    @precondition(lambda self: self.hands.unmarked)
    @rule()
    def marks(self) -> None:
        self.hands.arrived.extend(Arrived(claim, b"", False) for claim in self.hands.unmarked)
        self.hands.unmarked.clear()

    @precondition(lambda self: self.hands.arrived)
    @rule(lives=st.booleans())
    def sorts(self, lives: bool) -> None:
        claim = self.hands.arrived.popleft().claim
        if lives:
            job = JOBS[int(claim.task.job.removeprefix("job "))]
            self.hands.backlog.append(Run(claim.task.first, claim, job))
        else:
            self.ended.append(claim.task.first)

    # --- tasks run ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.hands.backlog)
    @rule()
    def assigns(self) -> None:
        run = self.hands.backlog.popleft()
        assert self.due.get(run.number, 0.0) <= self.now_s, "begun before it was due"
        self.running.append(run)

    @precondition(lambda self: self.running)
    @rule(at=PLACES)
    def is_answered(self, at: int) -> None:
        run = self.running.pop(at % len(self.running))
        self.hands.outbox.append((run.claim, b"result"))

    @precondition(lambda self: self.running)
    @rule(at=PLACES)
    def an_executor_dies(self, at: int) -> None:
        run = self.running.pop(at % len(self.running))
        if run.claim.cancelled:
            self.hands.cancelled.append(run.claim)
        else:
            self.hands.deaths.append(Death(run, None, "SIGKILL"))

    @precondition(lambda self: self.running)
    @rule(at=PLACES)
    def is_interrupted(self, at: int) -> None:
        """By us, because its job was cancelled, or by somebody else."""
        self.hands.interrupted(self.running.pop(at % len(self.running)), 0)

    @precondition(lambda self: self.hands.deaths)
    @rule(decision=st.sampled_from(["give-back", "again", "wait", "condemn"]), pause_s=st.floats(0, 10))
    def settles_a_death(self, decision: str, pause_s: float) -> None:
        run = self.hands.deaths.popleft().run
        if decision == "give-back":
            self.ended.append(run.number)
        elif decision == "again":
            self.hands.backlog.appendleft(run)
        elif decision == "wait":
            self.due[run.number] = self.now_s + pause_s
            self.hands.delay(run, self.now_s + pause_s)
        else:
            self.hands.outbox.append((run.claim, b"verdict"))

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.hands.retry(self.now_s)
        assert self.hands.next_retry_s() > self.now_s, "what is due was not moved"

    @rule(pauses_s=st.lists(st.floats(0, 10), min_size=1, max_size=6), jobs=st.permutations(JOBS))
    def a_machine_swaps(self, pauses_s: list[float], jobs: list[Job]) -> None:
        """All executors are killed for want of memory, not for the first time."""
        for place, pause_s in enumerate(pauses_s):
            self.made += 1
            job = jobs[place % len(jobs)]
            claim = Claim(KEYS, Task(f"job {job.number}", (self.made,), b"%d" % self.made), "tag")
            self.due[self.made] = self.now_s + pause_s
            self.hands.delay(Run(self.made, claim, job), self.now_s + pause_s)

    # --- tasks end ----------------------------------------------------------------------------------------

    @rule(accepted=st.lists(st.booleans(), min_size=1, max_size=4))
    def publishes(self, accepted: list[bool]) -> None:
        results, self.hands.outbox = self.hands.outbox, []
        for place, (claim, result) in enumerate(results):
            if accepted[place % len(accepted)]:
                self.ended.append(claim.task.first)
            else:
                self.hands.outbox.append((claim, result))

    @rule(job=st.sampled_from(JOBS))
    def a_job_is_cancelled(self, job: Job) -> None:
        """The heart finds out, and says so in the claims that it keeps alive."""
        hands = self.hands
        for run in (*self.running, *hands.backlog, *(item.run for item in hands._delayed)):
            run.claim.cancelled = run.claim.cancelled or run.job is job
        hands.withdraw_cancelled()
        assert not any(run.claim.cancelled for run in hands.backlog)
        waiting = {item.run.number for item in hands._delayed}
        assert hands.next_retry_s() == min((self.due[number] for number in waiting), default=float("inf"))

    @rule()
    def lets_go_of_the_cancelled(self) -> None:
        self.ended += [claim.task.first for claim in self.hands.cancelled]
        self.hands.cancelled = []

    @rule()
    def gives_up(self) -> None:
        """A shutdown: what was not begun goes back, in the order in which it would have been begun."""
        expected = [run.number for run in self.hands.backlog]
        runs = [run.number for run in self.hands.give_up()]
        assert runs[: len(expected)] == expected
        delays = [self.due[number] for number in runs[len(expected) :]]
        assert delays == sorted(delays)
        self.ended += runs

    # --- what is always so --------------------------------------------------------------------------------

    def places(self) -> list[int]:
        """The numbers of all tasks, wherever they stand."""
        hands = self.hands
        claims = [*hands.unmarked, *(arrived.claim for arrived in hands.arrived), *hands.cancelled]
        claims += [claim for claim, _ in hands.outbox]
        runs = [
            *hands.backlog,
            *(death.run for death in hands.deaths),
            *(item.run for item in hands._delayed),
        ]
        return [
            *(int(payload) for _, payload in hands.taken),
            *(claim.task.first for claim in claims),
            *(run.number for run in runs),
        ]

    @invariant()
    def each_task_stands_in_one_place(self) -> None:
        held = self.places()
        assert len(self.hands) == len(held)
        everywhere = [*held, *(run.number for run in self.running), *self.ended]
        assert sorted(everywhere) == list(range(1, self.made + 1))

    def teardown(self) -> None:
        """From any state on, a server and executors that do their work bring all tasks to their ends."""
        while self.hands.taken:
            self.reads(JOBS[0])
        self.marks()
        while self.hands.arrived:
            self.sorts(lives=True)
        while self.hands.deaths:
            self.settles_a_death("again", 0.0)
        self.time_passes(100.0)
        while self.hands.backlog:
            self.assigns()
        while self.running:
            self.is_answered(0)
        self.publishes([True])
        self.lets_go_of_the_cancelled()
        assert len(self.hands) == 0
        assert sorted(self.ended) == list(range(1, self.made + 1))


TestAgentAtWork = AgentAtWork.TestCase
TestAgentAtWork.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
