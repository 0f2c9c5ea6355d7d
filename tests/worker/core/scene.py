"""An agent's core, with executors and a server that answer when a test has them answer, and a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import Announced, Taken, TakenTask
from pydoredis.protocol.claims import Crash
from pydoredis.protocol.keys import QueueKeys, TaskTag
from pydoredis.protocol.messages import Codec, JobEnvironment
from pydoredis.protocol.presence import Presence
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.protocol.wire import decode_task
from pydoredis.settings import WorkerSettings
from pydoredis.worker.core import WorkerCore, events, instructions
from pydoredis.worker.core.lease import Lease
from pydoredis.worker.core.tallies import Look

QUEUE = QueueKeys("Q")
T = TypeVar("T")


def same(i: int) -> int:
    return i


ENVIRONMENT = PythonCodec(Program(same)).encode_environment().value


def task(job: str, first: int, count: int = 1) -> bytes:
    """A task message."""
    arguments = [((), {"i": first + n}) for n in range(count)]
    return PythonCodec(Program(same)).encode_task(job, first, arguments)


class Scene:
    """One agent.

    Attributes:
        core: Its core.
        now_s: The time.
        queue: Tasks on its queue.
        inner: Tasks of loops inside of bodies, by depth.
        environments: By environment key.
        counted: Whether the agent's workers are counted on the queue.
        done: All instructions so far.
        asked: The requests that were not answered yet.
        pipes: By executor: the tasks that it was handed and has not answered.
        recalled: What was taken out of pipes and was not told yet; None: that is told at once.
    """

    def __init__(
        self,
        *,
        on_demand: bool = False,
        workers: int = 2,
        codecs: tuple[Codec, ...] = ("cloudpickle",),
        look: Look | None = None,
        **settings: object,
    ) -> None:
        chosen = WorkerSettings(queues=("Q",), workers=workers, codec="cloudpickle", **settings)  # type: ignore[arg-type]
        presence = Presence("agent", "host", 1, workers, codecs, "3.11.7", "", "1.0")
        self.refusal: Callable[[JobEnvironment], str | None] = lambda environment: None
        self.core = WorkerCore(
            *(chosen, [QUEUE], presence, lambda environment: self.refusal(environment)),
            *("redis://server", lambda: "2026-11-29-04:00:00", look),
        )
        self.now_s = 1000.0
        self.queue: list[bytes] = []
        self.inner: dict[int, list[bytes]] = {depth: [] for depth in range(1, chosen.nesting + 1)}
        self.environments: dict[str, bytes] = {}
        self.crashes: dict[int | None, int] = {}
        self.open = True
        self.counted = False
        self.done: list[instructions.Instruction] = []
        self.asked: list[instructions.Ask] = []
        self.pipes: dict[int, list[Lease]] = {}
        self.recalled: list[events.Recalled] | None = None
        self._pids = 100
        self._places: dict[int, float] = {}
        self._carry_out(self.core.start(self.now_s, on_demand=on_demand))

    # --- the world ----------------------------------------------------------------------------------------

    def up(self) -> None:
        """Executors are ready, Redis is there, the agent has joined."""
        for executor in list(self.pipes):
            self.tell(events.Ready(executor, "Python"))
        self.tell(events.Connected("run 1", tracking=True))
        self.answer()
        assert any(isinstance(each, instructions.Serving) for each in self.done)

    def job(self, name: str, tasks: int, chunk_size: int = 1, depth: int = 0) -> None:
        """Put a job on the queue; or one that a body begins, so many bodies deep."""
        messages = [task(name, 1 + n * chunk_size, chunk_size) for n in range(tasks)]
        self.environments[QUEUE.env(decode_task(messages[0]).job)] = ENVIRONMENT
        waiting = self.inner[depth] if depth else self.queue
        waiting += messages

    def pushed(self, depth: int = 0) -> None:
        """The server tells that the queue has changed; requests are answered until there are none."""
        self.tell(events.Changed([QUEUE.at_depth(depth).tasks]))
        self.answer()

    def tell(self, *happened: events.Event) -> None:
        """Something happens."""
        self._carry_out(self.core.receive(happened, self.now_s))

    def wait(self, seconds: float) -> None:
        """Time goes by, and the core is called whenever it wants to be."""
        until_s = self.now_s + seconds
        while (due_s := self.core.due_s(self.now_s)) < until_s and not self.said(instructions.Stop):
            before_s = self.now_s
            self.now_s = max(self.now_s, due_s)
            self._carry_out(self.core.receive((), self.now_s))
            assert self.now_s > before_s or self.core.due_s(self.now_s) > before_s, "it turns without end"
        self.now_s = until_s

    def finish(self, executor: int, seconds: float = 0.0001) -> Lease:
        """An executor answers its first task."""
        lease = self.pipes[executor].pop(0)
        self.tell(events.Finished(executor, lease.number, seconds, b"result"))
        return lease

    def die(self, executor: int, iteration: int | None = None, cause: str = "killed by SIGSEGV") -> None:
        """An executor dies."""
        del self.pipes[executor]
        self.tell(events.Died(executor, cause, iteration, -11, ""))

    def at_place(self, executor: int, since_s: float) -> None:
        """An executor is at another iteration since then."""
        self._places[executor] = since_s

    # --- what the agent does ------------------------------------------------------------------------------

    def requested(self, kind: type[T]) -> list[T]:
        """The commands of a kind in all requests so far."""
        asked = [each for ask in self.said(instructions.Ask) for each in ask.commands]
        return [each for each in asked if isinstance(each, kind)]

    def said(self, kind: type[T]) -> list[T]:
        """The instructions of a kind so far."""
        return [each for each in self.done if isinstance(each, kind)]

    def log(self) -> str:
        """All lines of the log."""
        return "\n".join(each.text for each in self.said(instructions.Log))

    def running(self) -> dict[int, list[int]]:
        """First iterations of the tasks in each pipe."""
        return {number: [lease.task.first for lease in pipe] for number, pipe in self.pipes.items()}

    def _carry_out(self, todo: Sequence[instructions.Instruction]) -> None:
        for each in todo:
            self.done.append(each)
            if isinstance(each, instructions.Hire):
                self.pipes[each.executor] = []
                self._pids += 1
                self.tell(events.Hired(each.executor, self._pids))
            elif isinstance(each, instructions.Hand):
                self.pipes[each.executor].append(each.lease)
            elif isinstance(each, instructions.Recall):
                back = [lease.number for lease in self.pipes[each.executor][1:]]
                del self.pipes[each.executor][1:]
                told = events.Recalled(each.executor, back)
                if self.recalled is None:
                    self.tell(told)
                else:
                    self.recalled.append(told)
            elif isinstance(each, instructions.Look):
                self.tell(events.Place(each.executor, self._places.get(each.executor, 0.0)))
            elif isinstance(each, instructions.Ask):
                assert not self.asked, "one request at a time"
                self.asked.append(each)

    # --- the server ---------------------------------------------------------------------------------------

    def answer(self, most: int = 100) -> None:
        """Answer requests until there are none."""
        for _ in range(most):
            if not self.asked:
                return
            self.step()
        raise AssertionError(f"requests without end: {self.asked}")

    def step(self, replies: Mapping[type, object] = MappingProxyType({})) -> None:
        """Answer one request; commands of these kinds with these replies."""
        ask = self.asked.pop()
        said = [replies[type(each)] if type(each) in replies else self.reply(each) for each in ask.commands]
        self.tell(events.Replied(ask.request, said))

    def reply(self, command: commands.Command) -> object:
        """What the server says to a command."""
        match command:
            case commands.Announce():
                joined = () if self.counted else (QUEUE,)
                self.counted = True
                return Announced(self.open, 1, joined)
            case commands.Take():
                return self._take(command)
            case commands.Publish(results):
                return ["published"] * len(results)
            case commands.GiveBack(claims, end):
                payloads = [claim.task.payload for claim in claims]
                depth = claims[0].keys.depth
                waiting = self.inner[depth] if depth else self.queue
                waiting[:] = payloads + waiting if end == "head" else waiting + payloads
                return ["given-back"] * len(claims)
            case commands.KeepAlive(claims):
                return ["alive" if claim.env in self.environments else "cancelled" for claim in claims]
            case commands.KeepRecords(jobs):
                return [keys.env(job) in self.environments for keys, job in jobs]
            case commands.Fetch(env):
                return self.environments.get(env)
            case commands.CountCrash(_, _, iteration):
                self.crashes[iteration] = self.crashes.get(iteration, 0) + 1
                return tuple(Crash(number, count, "killed") for number, count in self.crashes.items())
            case commands.LookUpCrashes():
                return tuple(Crash(number, count, "killed") for number, count in self.crashes.items())
        return None

    def _take(self, command: commands.Take) -> Taken:
        begun, ahead = 0, dict(command.ahead)
        tasks: list[TakenTask] = []
        environments: dict[str, bytes | None] = {}
        for depth, waiting in [*sorted(self.inner.items(), reverse=True), (0, self.queue)]:
            while waiting:
                read = decode_task(waiting[0])
                env = QUEUE.env(read.job)
                if begun < command.room(depth):
                    begun += 1
                elif ahead.get(env, 0) > 0:
                    ahead[env] -= 1
                else:
                    break
                tag = str(TaskTag(read.first, read.last, "host", command.pids[0], command.begin))
                tasks.append(TakenTask(QUEUE.at_depth(depth), waiting.pop(0), tag, bool(self.crashes)))
                environments[env] = self.environments.get(env)
        deeper = tuple(depth for depth, waiting in self.inner.items() if waiting)
        return Taken(tuple(tasks), environments, bool(self.queue), deeper)


def lone(scene: Scene) -> tuple[int, Lease]:
    """An executor with the only task."""
    scene.job("a", 1)
    scene.pushed()
    return next((number, pipe[0]) for number, pipe in scene.pipes.items() if pipe)
