"""Worker machines that can be killed, stood still and woken: an agent with all of its processes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from tests.peers.processes import Peer, command_line, descendants


def signal_machine(peer: Peer, number: signal.Signals) -> None:
    """Send a signal to a peer and to all that it started, as what befalls a machine befalls them all."""
    for pid in (peer.pid, *descendants(peer.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def left_running(peers: Iterable[Peer]) -> list[str]:
    """Processes of sessions that these peers led: nothing of them is to be left when the peers have ended."""
    sessions = {peer.pid for peer in peers}
    left = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The command in parentheses may hold spaces; state, parent, group and session follow it.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) in sessions and fields[0] != "Z":
                    left.append(f"{entry.name}: {command_line(int(entry.name))}")
    return left
