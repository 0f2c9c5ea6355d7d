"""What a job environment keeps apart is fetched before its tasks are handed out, once for all of them."""

from __future__ import annotations

import pytest

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol import parts
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core import requests as requests_module
from pydoredis.worker.core.jobs import KEPT_JOBS, LoadedJobs
from tests.worker.core.scene import ENVIRONMENT, QUEUE, Scene, same

SIZE = parts.LEAST_BYTES
MOST = SIZE // 3


@pytest.fixture
def message(monkeypatch: pytest.MonkeyPatch) -> parts.Message:
    monkeypatch.setattr(parts, "PIECE_BYTES", SIZE // 2)
    monkeypatch.setattr(requests_module, "MOST_FETCHED", MOST)
    stream = PythonCodec(Program(same)).encode_environment().value
    return parts.message(stream, [memoryview(bytes(range(256)) * (SIZE // 256))])


def put(scene: Scene, message: parts.Message, name: str = "a", tasks: int = 2) -> None:
    scene.job(name, tasks)
    scene.environments[QUEUE.env(name)] = message.value


def fetched(message: parts.Message, command: commands.FetchPiece) -> bytes:
    piece = [*message.pieces()][command.number - 1]
    return bytes(piece[command.first : command.first + command.size])


def step(scene: Scene, message: parts.Message) -> commands.FetchPiece:
    """Answer a request that fetches a piece; returns what it asked for."""
    (command,) = [each for each in scene.asked[0].commands if isinstance(each, commands.FetchPiece)]
    scene.step({commands.FetchPiece: fetched(message, command)})
    return command


def taken(scene: Scene) -> None:
    """Tasks were pushed, and are taken."""
    scene.tell(events.Changed([QUEUE.queue]))
    scene.step()


def test_tasks_wait_until_all_is_here(scene: Scene, message: parts.Message) -> None:
    put(scene, message)
    taken(scene)
    asked = []
    while scene.asked:
        assert scene.running() == {1: [], 2: []}
        asked.append(step(scene, message))
    assert [(each.number, each.first, each.size) for each in asked] == [
        (1, 0, MOST),
        (1, MOST, SIZE // 2 - MOST),
        (2, 0, MOST),
        (2, MOST, SIZE // 2 - MOST),
    ]
    assert {(each.keys, each.job, each.name) for each in asked} == {(QUEUE, "a", message.name)}
    assert scene.running() == {1: [1], 2: [2]}
    kept = scene.said(instructions.Keep)
    assert b"".join(each.content for each in kept) == b"".join(map(bytes, message.pieces()))
    assert [each.first for each in kept] == [0, MOST, SIZE // 2, SIZE // 2 + MOST]


def test_the_next_tasks_of_the_job_fetch_nothing(scene: Scene, message: parts.Message) -> None:
    put(scene, message, tasks=3)
    taken(scene)
    while scene.asked:
        step(scene, message)
    before = len(scene.requested(commands.FetchPiece))
    scene.finish(1)
    scene.answer()
    assert scene.running() == {1: [3], 2: [2]}
    assert len(scene.requested(commands.FetchPiece)) == before


def test_another_job_runs_meanwhile(scene: Scene, message: parts.Message) -> None:
    put(scene, message, tasks=1)
    taken(scene)
    scene.job("small", 1)
    scene.tell(events.Changed([QUEUE.queue]))
    command = step(scene, message)
    assert isinstance(scene.asked[0].commands[-1], commands.Take)
    piece = next(each for each in scene.asked[0].commands if isinstance(each, commands.FetchPiece))
    scene.step({commands.FetchPiece: fetched(message, piece)})
    assert sorted(scene.running().values()) == [[], [1]]
    assert scene.said(instructions.Hand)[0].lease.task.job == "small"
    assert command.job == piece.job == "a"


def test_after_a_lost_connection_it_goes_on_where_it_was(scene: Scene, message: parts.Message) -> None:
    put(scene, message)
    taken(scene)
    step(scene, message)
    (lost,) = scene.asked
    scene.asked.clear()
    scene.tell(events.Lost("gone"))
    scene.tell(events.Connected("run 1", tracking=True))
    assert scene.asked == [lost]
    while scene.asked:
        piece = [each for each in scene.asked[0].commands if isinstance(each, commands.FetchPiece)]
        scene.step({commands.FetchPiece: fetched(message, piece[0])} if piece else {})
    assert scene.running() == {1: [1], 2: [2]}


@pytest.mark.parametrize("reply", [b"", b"short"])
def test_a_piece_that_is_gone_is_an_error_for_each_task(
    scene: Scene, message: parts.Message, reply: bytes
) -> None:
    put(scene, message)
    taken(scene)
    scene.step({commands.FetchPiece: reply})
    (publish,) = scene.requested(commands.Publish)
    assert [claim.task.first for claim, _ in publish.results] == [1, 2]
    assert all(b"a piece of the job environment is gone" in result for _, result in publish.results)
    assert "tasks of the environment Q.env.a cannot be run" in scene.log()
    scene.answer()
    assert not len(scene.core.shelves)


def test_a_machine_without_room(scene: Scene, message: parts.Message) -> None:
    put(scene, message, tasks=1)
    taken(scene)
    step(scene, message)
    (kept,) = scene.said(instructions.Keep)
    scene.tell(events.NotKept(kept.job, "no space left"))
    assert step(scene, message).at == MOST, "which was asked for before"
    ((_, result),) = scene.requested(commands.Publish)[0].results
    assert b"the job environment cannot be kept: no space left" in result
    scene.answer()
    assert scene.said(instructions.Keep) == [kept]
    put(scene, message, tasks=1)
    taken(scene)
    assert step(scene, message).at == 0, "it begins again"


def test_what_is_being_fetched_is_not_forgotten(scene: Scene, message: parts.Message) -> None:
    jobs = LoadedJobs()
    large = jobs.find("large", message.value)
    for number in range(KEPT_JOBS + 2):
        jobs.find(f"small {number}", ENVIRONMENT)
    assert jobs.partial == [large]
    assert len(list(jobs)) == KEPT_JOBS
    large.fetched = SIZE
    assert jobs.partial == []
    jobs.find("another", ENVIRONMENT)
    assert jobs.known("large") is None


def test_an_agent_that_stops_gives_its_tasks_back(scene: Scene, message: parts.Message) -> None:
    put(scene, message)
    before = list(scene.queue)
    taken(scene)
    step(scene, message)
    scene.tell(events.Signalled(15))
    while scene.asked:
        piece = [each for each in scene.asked[0].commands if isinstance(each, commands.FetchPiece)]
        scene.step({commands.FetchPiece: fetched(message, piece[0])} if piece else {})
    assert scene.queue == before
