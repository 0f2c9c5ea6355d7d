"""Keeps an agent running for each queue of a service, and answers for them to the service manager.

An agent that ends is started again: after its queue was removed as well as after a crash. Each tells us how
it is in the way in which we tell systemd (`worker.notify`). We say that we are alive only as long as all of
them do: systemd then restarts the service of which an agent hangs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

from pydoredis.backoff import Backoff
from pydoredis.errors import ConfigError
from pydoredis.service.conf import DEFAULT_USER
from pydoredis.worker.notify import SOCKET, WATCHDOG, Notifier

AGENT_PATIENCE_S: Final = 30.0
"""An agent that says nothing for so long hangs. It speaks three times in that time. Where the service manager
has less than twice the patience, ours is half of its."""

_LOOK_S: Final = 0.5
"""How often to look for agents that ended, whatever else wakes us."""

_WRONG_SETTINGS: Final = 2
"""Exit status of a worker whose settings make no sense: to start it again does not help."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Command:
    """An agent to be kept running.

    Attributes:
        name: What to call it in the log.
        arguments: Of `pydoredis worker`.
        environment: What is set for it beside our own environment; an empty value unsets a variable.
        user: Whom it runs as; None for the same user as we.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    user: str | None = None


class Kept:
    """One agent, and what it says.

    Args:
        command: How it is started.
        address: A name for the socket at which it tells us how it is.
        patience_s: How long it may say nothing.
    """

    def __init__(self, command: Command, address: Path, patience_s: float) -> None:
        self.command = command
        self.address = address
        self.up = False
        self._patience_s = patience_s
        self._heard_s = 0.0
        self._pause = Backoff(1.0, 30.0)
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(address))
        self.socket.setblocking(False)
        if command.user is not None:
            os.chmod(address, 0o666)  # the directory is not listed for anybody

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Number of its process; 0 if there is none."""
        return self._process.pid if self._process else 0

    def hangs(self, now_s: float) -> bool:
        """Whether it was up and says nothing any more."""
        return self.running and self.up and now_s > self._heard_s + self._patience_s

    def listen(self, now_s: float) -> bool:
        """Hear what it says; whether it has just come up."""
        came_up = False
        with contextlib.suppress(BlockingIOError):
            while said := self.socket.recv(4096):
                self._heard_s = now_s
                if b"READY=1" in said.split(b"\n"):
                    came_up, self.up = not self.up, True
                    self._pause.reset()
        return came_up

    def start(self, now_s: float) -> None:
        """Start it, if it does not run and its pause is over."""
        if self.running or not self._pause.over(now_s):
            return
        command = self.command
        environment = {**os.environ, **command.environment, SOCKET: str(self.address)}
        environment[WATCHDOG] = f"{self._patience_s * 1e6:.0f}"
        self.up = False
        self._process = subprocess.Popen(
            # It ends with us, however we end: then its standard input is closed.
            [sys.executable, "-m", "pydoredis", "worker", "--stop-with-stdin", *command.arguments],
            env={name: value for name, value in environment.items() if value},
            stdin=subprocess.PIPE,
            user=command.user,
            group=_group_of(command.user),
            extra_groups=None if command.user is None else [],
            cwd="/" if command.user is not None else None,
            start_new_session=True,
        )
        log.info("%s: started as process %d", command.name, self._process.pid)

    def look(self, now_s: float) -> int | None:
        """Its exit status, once, when it has ended."""
        status = None if self._process is None else self._process.poll()
        if status is None:
            return None
        assert self._process is not None
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process, self.up = None, False
        self._pause.begin(now_s)
        return status

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def close(self) -> None:
        """Close its socket."""
        self.socket.close()


class Supervisor:
    """A context manager that keeps agents running until it is told to stop.

    Args:
        commands: The agents.
    """

    def __init__(self, commands: Sequence[Command]) -> None:
        self._stack = contextlib.ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pydoredis-service-")))
        folder.chmod(0o711)
        self._selector = self._stack.enter_context(selectors.DefaultSelector())
        self._notifier = self._stack.enter_context(contextlib.closing(Notifier()))
        patience_s = min(AGENT_PATIENCE_S, self._notifier.interval_s / 2)
        self._kept: list[Kept] = []
        for number, command in enumerate(commands):
            kept = Kept(command, folder / f"{number}.sock", patience_s)
            self._stack.callback(kept.close)
            self._selector.register(kept.socket, selectors.EVENT_READ, kept)
            self._kept.append(kept)
        self._signals = self._last_signal = 0
        self._forwarded = 0
        self._was_up = False
        self._hanging: set[str] = set()

    def __enter__(self) -> Supervisor:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
            self._stack.callback(end.close)
        self._selector.register(ours, selectors.EVENT_READ, None)
        self._wakeup = ours
        self._stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(theirs.fileno()))
        for number in (signal.SIGTERM, signal.SIGINT):
            self._stack.callback(signal.signal, number, signal.signal(number, self._signalled))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for kept in self._kept:
            kept.signal(signal.SIGKILL)
        self._stack.close()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._last_signal = number

    def run(self) -> int:
        """Keep them running until SIGTERM or SIGINT, and until they have ended then.

        Each further signal is passed on: a second one has agents give back what they run.

        Returns:
            The signal that came last.

        Raises:
            ConfigError: If an agent ends because its settings make no sense; the others are stopped then.
        """
        wrong: Kept | None = None
        while True:
            now_s = time.monotonic()
            for kept in self._kept:
                if not self._signals:
                    kept.start(now_s)
                status = kept.look(now_s)
                if status is None:
                    continue
                log.info("%s: ended with status %d", kept.command.name, status)
                if status == _WRONG_SETTINGS and not self._signals:
                    wrong, self._signals = kept, 1
            self._pass_signals_on()
            if self._signals and not any(kept.running for kept in self._kept):
                break
            self._report(now_s)
            self._wait()
        if wrong is not None:
            raise ConfigError(
                wrong.command.name, "settings", "such that a worker starts; its message is above"
            )
        return self._last_signal

    def _pass_signals_on(self) -> None:
        if self._signals and not self._forwarded:
            self._notifier.stopping()
        while self._forwarded < self._signals:
            self._forwarded += 1
            for kept in self._kept:
                kept.signal(signal.SIGTERM)

    def _report(self, now_s: float) -> None:
        """Say that we are up once all are, and alive while none hangs."""
        up = sum(kept.up for kept in self._kept)
        if up == len(self._kept) and not self._was_up:
            self._was_up = True
            self._notifier.ready(f"{', '.join(kept.command.name for kept in self._kept)}: up")
        hanging = {kept.command.name for kept in self._kept if kept.hangs(now_s)}
        for name in hanging - self._hanging:
            log.error("%s: says nothing any more", name)
        self._hanging = hanging
        if not hanging:
            self._notifier.alive(now_s)

    def _wait(self) -> None:
        until_s = min(_LOOK_S, max(0.0, self._notifier.due_s - time.monotonic()))
        for key, _ in self._selector.select(max(0.01, until_s)):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wakeup.recv(4096)
            elif key.data.listen(time.monotonic()):
                self._notifier.status(
                    f"{sum(kept.up for kept in self._kept)} of {len(self._kept)} agents are up"
                )


def _group_of(user: str | None) -> int | None:
    """The group of a user.

    Raises:
        ConfigError: If there is no such user.
    """
    if user is None:
        return None
    import pwd  # not on Windows, where nothing of this runs

    try:
        return pwd.getpwnam(user).pw_gid
    except KeyError:
        raise ConfigError("user", user, "a user of this machine") from None


def user_to_run_as(user: str) -> str | None:
    """The user for `Command`: None if we are that user, or may not become another one."""
    import pwd

    if os.geteuid() != 0:
        own = pwd.getpwuid(os.geteuid()).pw_name if _is_known(os.geteuid()) else str(os.geteuid())
        if user not in (own, DEFAULT_USER):
            log.warning("we are not root: workers run as %s, and not as %s", own, user)
        return None
    _group_of(user)
    return None if user == "root" else user


def _is_known(uid: int) -> bool:
    import pwd

    with contextlib.suppress(KeyError):
        return bool(pwd.getpwuid(uid))
    return False
