"""Record what R's doRedis sends and answers, as a recording that `test_replay.py` plays to our workers.

    python -m tests.wire.record [--into FOLDER]

A coordinator runs `loops.R` with two of R's own workers, each through a proxy that writes down what passes.
What comes of it is extracted as from any other transcript (`extract.py`) and saved under the version of R:
`loops-4.6.json.gz`. It takes R with doRedis; `make record` does it on the systems of the matrix.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hiredis

from tests.conftest import wait_until
from tests.faults.proxy import Proxy
from tests.peers.processes import Peer, r_address, r_string
from tests.redis_process import RedisProcess
from tests.wire.extract import extract
from tests.wire.recording import DATA, Recording

PROGRAM = Path(__file__).with_name("loops.R")
QUEUE = "golden"
"""As in all other recordings: their workers serve this one, too."""
WORKERS = 2


class Tap(Proxy):
    """Writes down what passes between one peer and the server.

    Attributes:
        messages: As in a transcript: `cmd` and `reply` of each connection, numbered.
    """

    def __init__(self, target_port: int, role: str, messages: list[dict[str, Any]]) -> None:
        self._role = role
        self.messages = messages
        self._counts: dict[tuple[int, str], int] = {}
        super().__init__(target_port)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, ends: set[asyncio.StreamWriter]
    ) -> None:
        to_server = sink.get_extra_info("peername")[1] == self._target_port
        (client,) = (end for end in ends if end.get_extra_info("sockname")[1] == self.port)
        connection = client.get_extra_info("peername")[1]
        reader = hiredis.Reader()
        with contextlib.suppress(OSError):
            while piece := await source.read(1 << 16):
                reader.feed(piece)
                # Before it is passed on: so that a command always stands before its reply.
                while (message := reader.gets()) is not False:
                    self._note(connection, message, "cmd" if to_server else "reply")
                sink.write(piece)
                await sink.drain()
        for writer in ends:
            writer.close()
        self._writers -= ends

    def _note(self, connection: int, message: Any, kind: str) -> None:
        number = self._counts.get((connection, kind), 0)
        self._counts[connection, kind] = number + 1
        noted = {"t": time.monotonic(), "conn": connection, "role": self._role, "ev": kind, "n": number}
        if kind == "cmd":
            argv = [base64.b64encode(word).decode() for word in message]
            noted.update(name=message[0].decode(), argv=argv)
        else:
            noted["value"] = {"error": str(message)} if isinstance(message, Exception) else {}
        self.messages.append(noted)


def play(rscript: Sequence[str], program: Path = PROGRAM) -> list[dict[str, Any]]:
    """What passed between the server, workers and a coordinator that runs a program.

    Args:
        rscript: The command that runs R with doRedis on this machine's loopback.
        program: In R.
    """
    messages: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(RedisProcess())
        client = stack.enter_context(server.client())

        def start(role: str, code: str) -> Peer:
            tap = stack.enter_context(Tap(server.port, role, messages))
            text = code.replace("ADDRESS", r_address(tap.url))
            return stack.enter_context(
                Peer([*rscript, "-e", f"suppressMessages(library(doRedis)); {text}"], role)
            )

        workers = [
            start(f"worker{number + 1}", f"redisWorker({r_string(QUEUE)}, ADDRESS, linger = 1L)")
            for number in range(WORKERS)
        ]
        wait_until(lambda: int(client.get(f"{QUEUE}.count") or 0) == WORKERS, "the workers are counted", 60)
        where = f"queue <- {r_string(QUEUE)}; with(list(ADDRESS), {{ host <<- host; port <<- port }})"
        source = f"source({r_string(str(program))}, encoding = 'UTF-8')"
        coordinator = start("coordinator", f"{where}; {source}; removeQueue(queue)")
        for peer in (coordinator, *workers):
            assert peer.wait(120) == 0, peer.tail(40)
    return messages


def kinds(messages: Sequence[dict[str, Any]]) -> dict[int, str]:
    """What each connection is: of the coordinator, of a worker, or with a worker's signs of life alone."""
    found = {}
    for message in messages:
        connection, role = message["conn"], message["role"].rstrip("0123456789")
        if role == "coordinator" or message.get("name") == "BLPOP":
            found[connection] = role
        found.setdefault(connection, "liveness")
    return found


def record(rscript: Sequence[str] = ("Rscript",), longest_s: float = 8.0) -> Recording:
    """The recording of `loops.R`; its scenario is `loops-` and R's version, such as loops-4.6."""
    words = 'as.character(getRversion()), R.version.string, packageDescription("doRedis")$Version'
    tell = f'cat({words}, sep = "\\n")'
    said = subprocess.run([*rscript, "-e", tell], capture_output=True, text=True, check=True).stdout
    version, r, doredis = said.splitlines()
    messages = play(rscript)
    with tempfile.TemporaryDirectory(prefix="pydoredis-transcript-") as directory:
        folder = Path(directory) / f"loops-{version.rpartition('.')[0]}"
        folder.mkdir()
        lines = [json.dumps(message) for message in messages]
        (folder / "transcript.jsonl").write_text("\n".join(lines) + "\n")
        worker = f"library(doRedis); redisWorker('{QUEUE}', linger = 1L)"
        about = {
            "about": "loops of all sorts, by the R of a later system",
            "versions": {"R": r, "doRedis": doredis},
            "workers": {f"worker{number + 1}": worker for number in range(WORKERS)},
            "connections": [{"conn": conn, "kind": kind} for conn, kind in kinds(messages).items()],
        }
        (folder / "meta.json").write_text(json.dumps(about))
        return extract(folder, longest_s)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, default=DATA)
    options = parser.parse_args()
    recording = record()
    recording.save(options.into / f"{recording.scenario}.json.gz")
    print(recording.scenario, len(recording.expects("result")), "results", *recording.left_out, sep="\n")


if __name__ == "__main__":
    main()
