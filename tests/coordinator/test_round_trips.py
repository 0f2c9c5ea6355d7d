"""What a small loop costs in commands: one step submits it, one waits, and nobody waits for the clean-up."""

from __future__ import annotations

import re

from pydoredis.queue import Queue
from tests.redis_process import RedisProcess


def commands(server: RedisProcess, queue: Queue) -> list[str]:
    """The commands of all clients during one loop of one iteration."""
    with server.client() as client, client.monitor() as monitor:
        listener = monitor.listen()
        client.echo("begin")
        assert queue.foreach(i=[1]).dopar(lambda i: i) == [1]
        client.echo("end")
        names: list[str] = []
        for event in listener:
            name = re.split(r"\s", event["command"])[0].upper()
            if event["command"] == "ECHO end":
                return names
            if event["client_type"] != "lua":
                names = [] if event["command"] == "ECHO begin" else [*names, name]
    raise AssertionError("the listener ends")


def test_commands_of_a_lone_task(server: RedisProcess, queue: Queue) -> None:
    seen = [sorted(commands(server, queue)) for _ in range(6)]
    # Submit, wait, remove; and the agent's: take with what watches the list, publish.
    assert min(seen[1:], key=len) == ["BLMOVE", "CLIENT", "EVALSHA", "EVALSHA", "EVALSHA", "UNLINK"]
