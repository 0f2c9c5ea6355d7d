"""Whatever happens in whatever order: each task is in one place, and every one is answered in the end."""

from __future__ import annotations

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import RefusedError
from pydoredis.worker.core import events
from pydoredis.worker.core.lease import State
from tests.worker.core.scene import QUEUE, Scene

# Without shrinking: that takes minutes, and the steps are printed in any case.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
CHOICE = st.integers(0, 100)
SECONDS = st.sampled_from([0.0, 0.0001, 0.004, 0.04, 1.0])


class AgentAtWork(RuleBasedStateMachine):
    """An agent whose executors die and whose connections break; its server does what it is asked once."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(workers=2, retry_pause_s=1.0)
        self.scene.up()
        self.pushed: list[bytes] = []
        self.published: list[bytes] = []
        self.connected = True
        self.jobs = 0

    # --- tasks --------------------------------------------------------------------------------------------

    @rule(tasks=st.integers(1, 30), chunk_size=st.integers(1, 3))
    def submits(self, tasks: int, chunk_size: int) -> None:
        self.jobs += 1
        before = len(self.scene.queue)
        self.scene.job(f"job {self.jobs}", tasks, chunk_size)
        self.pushed += self.scene.queue[before:]
        if self.connected:
            self.scene.tell(events.Changed([QUEUE.queue]))

    # --- Redis --------------------------------------------------------------------------------------------

    def _carried_out(self) -> list[object]:
        (ask,) = self.scene.asked
        replies = [self.scene.reply(command) for command in ask.commands]
        for command in ask.commands:
            if isinstance(command, commands.Publish):
                self.published += [claim.task.payload for claim, _ in command.results]
        return replies

    @precondition(lambda self: self.connected and self.scene.asked)
    @rule()
    def answers(self) -> None:
        replies = self._carried_out()
        self.scene.tell(events.Replied(self.scene.asked.pop().request, replies))

    @precondition(lambda self: self.connected and self.scene.asked)
    @rule()
    def refuses(self) -> None:
        ask = self.scene.asked.pop()
        self.scene.tell(events.Replied(ask.request, [RefusedError("OOM")] * len(ask.commands)))

    @precondition(lambda self: self.connected)
    @rule()
    def is_lost(self) -> None:
        """The request that was under way is not carried out."""
        self.connected = False
        self.scene.asked.clear()
        self.scene.tell(events.Lost("connection reset"))

    @precondition(lambda self: not self.connected)
    @rule(run=st.sampled_from(["run 1", "run 2"]))
    def is_back(self, run: str) -> None:
        self.connected = True
        self.scene.tell(events.Connected(run, tracking=True))

    # --- executors ----------------------------------------------------------------------------------------

    def _busy(self) -> list[int]:
        return [number for number, pipe in self.scene.pipes.items() if pipe]

    @precondition(lambda self: self._busy())
    @rule(choice=CHOICE, seconds=SECONDS)
    def finishes(self, choice: int, seconds: float) -> None:
        busy = self._busy()
        self.scene.finish(busy[choice % len(busy)], seconds)

    @precondition(lambda self: self._busy())
    @rule(choice=CHOICE, finished=st.integers(1, 2))
    def finishes_some(self, choice: int, finished: int) -> None:
        busy = self._busy()
        executor = busy[choice % len(busy)]
        lease = self.scene.pipes[executor][0]
        if lease.finished < finished < len(lease.task.iterations):
            self.scene.tell(events.Partly(executor, lease.number, finished, b"part"))

    @precondition(lambda self: self.scene.pipes)
    @rule(choice=CHOICE, known=st.booleans())
    def dies(self, choice: int, known: bool) -> None:
        self.become_ready()  # three that die before make the agent give up
        executor = sorted(self.scene.pipes)[choice % len(self.scene.pipes)]
        pipe = self.scene.pipes[executor]
        self.scene.crashes.clear()
        self.scene.die(executor, pipe[0].task.iterations[-1] if pipe and known else None)

    @precondition(lambda self: self._busy())
    @rule(choice=CHOICE)
    def is_interrupted(self, choice: int) -> None:
        busy = self._busy()
        executor = busy[choice % len(busy)]
        lease = self.scene.pipes[executor].pop(0)
        self.scene.crashes.clear()
        self.scene.tell(events.Interrupted(executor, lease.number, 0))

    @rule()
    def become_ready(self) -> None:
        for executor in list(self.scene.pipes):
            known = self.scene.core.executors.get(executor)
            if known is not None and known.ready is None:
                self.scene.tell(events.Ready(executor, "Python"))

    @rule(seconds=st.sampled_from([0.001, 0.03, 0.5, 5.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.scene.wait(seconds)

    # --- what is always so --------------------------------------------------------------------------------

    @invariant()
    def every_task_is_in_one_place(self) -> None:
        held = [lease.task.payload for lease in self.scene.core.shelves]
        under_way = self.published.copy()
        for payload in held:
            if payload in under_way:
                under_way.remove(payload)  # published, and the agent has not heard of it yet
        assert sorted(self.scene.queue + held + under_way) == sorted(self.pushed)

    @invariant()
    def what_runs_is_in_one_pipe(self) -> None:
        piped = sorted(lease.number for pipe in self.scene.pipes.values() for lease in pipe)
        assert piped == sorted(lease.number for lease in self.scene.core.shelves[State.RUNNING])

    def teardown(self) -> None:
        """Without further faults everything is answered."""
        self.scene.crashes.clear()
        if not self.connected:
            self.is_back("run 1")
        for _ in range(2000):
            self.become_ready()
            while self.scene.asked:
                self.answers()
            for executor in self._busy():
                self.scene.finish(executor)
            if not self.scene.queue and not len(self.scene.core.shelves):
                break
            self.scene.wait(0.2)
        assert not self.scene.queue
        assert not len(self.scene.core.shelves)
        assert sorted(self.published) == sorted(self.pushed)


AgentAtWork.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, phases=PHASES
)
TestAgentAtWork = AgentAtWork.TestCase
