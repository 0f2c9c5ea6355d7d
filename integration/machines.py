"""Containers as machines: each has a name on a private network, and may be killed, paused or cut off."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

# No container that clears up behind us: the fixtures do it, and its image may be out of reach.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

import docker
from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

LABEL = "pydoredis.integration"
"""Marks what the suite starts; its value is the process that did."""

_numbers = itertools.count(1)


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
    """Poll until `condition()` is true.

    Raises:
        AssertionError: If it still is not after `timeout_s`; says `what` was waited for.
    """
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"after {timeout_s:g} s still not: {what}")
        time.sleep(0.05)


def left_behind() -> list[str]:
    """Names of containers that this process started and has not removed."""
    client = docker.from_env()
    try:
        mine = {"label": f"{LABEL}={os.getpid()}"}
        return [str(container.name) for container in client.containers.list(all=True, filters=mine)]
    finally:
        client.close()


def sweep() -> None:
    """Remove what runs that were killed have left behind."""
    client = docker.from_env()
    try:
        marked = {"label": LABEL}
        containers = client.containers.list(all=True, filters=marked)
        for leftover in [*containers, *client.networks.list(filters=marked)]:
            attributes = leftover.attrs.get("Config") or leftover.attrs
            if Path("/proc", attributes["Labels"][LABEL]).exists():
                continue  # it is at work
            if leftover in containers:
                leftover.remove(force=True, v=True)
            else:
                leftover.remove()
    finally:
        client.close()


class Wire:
    """A private network. Its addresses are chosen by us: a machine that is cut off gets its own back."""

    def __init__(self) -> None:
        for attempt in itertools.count(1):
            subnet = f"10.{random.randint(128, 254)}.{random.randint(0, 254)}.0/24"
            self.network = Network(
                docker_network_kw={
                    "ipam": IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]),
                    "labels": {LABEL: str(os.getpid())},
                }
            )
            try:
                self.network.create()
                return
            except APIError:
                # Another network may have these addresses.
                if attempt == 10:
                    raise

    def close(self) -> None:
        """Remove it; everything on it must be gone."""
        self.network.remove()


class Machine:
    """A running container.

    Attributes:
        name: Its host name, by which the others on the network find it.

    Args:
        wire: The network.
        name: Its kind; a number is added, unless it is `known` by that name.
        image: What it runs.
        command: Arguments for the image's entry point.
        entrypoint: Another one.
        environment: Its variables.
        mounts: Directories of this machine that it sees, read-only: {here: there}.
    """

    def __init__(
        self,
        wire: Wire,
        name: str,
        image: str,
        command: Sequence[str] = (),
        *,
        known: bool = False,
        entrypoint: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        mounts: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name if known else f"{name}-{next(_numbers)}"
        self._wire = wire
        made = DockerContainer(image).with_network(wire.network).with_network_aliases(self.name)
        made.with_envs(**(environment or {}))
        if command:
            made.with_command(list(command))
        for here, there in (mounts or {}).items():
            made.with_volume_mapping(here, there, "ro")
        options: dict[str, Any] = {"hostname": self.name, "labels": {LABEL: str(os.getpid())}}
        if entrypoint is not None:
            options["entrypoint"] = list(entrypoint)
        self._made = made.with_kwargs(**options)
        self._made.start()
        self._container: Any = self._made.get_wrapped_container()
        self.meant_to_run = True

    # --- what it is doing ---------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """running, paused, exited ..."""
        self._container.reload()
        return str(self._container.status)

    @property
    def running(self) -> bool:
        """Whether it is up."""
        return self.status == "running"

    @property
    def address(self) -> str:
        """Its address on the network; "" when it has none."""
        self._container.reload()
        networks = self._container.attrs["NetworkSettings"]["Networks"]
        return str(networks.get(self._wire.network.name, {}).get("IPAddress", ""))

    def output(self, *, errors: bool = True) -> str:
        """What it printed so far; without `errors` only on standard output."""
        return str(self._container.logs(stdout=True, stderr=errors).decode(errors="replace"))

    @property
    def errors(self) -> str:
        """What it printed on standard error."""
        return str(self._container.logs(stdout=False, stderr=True).decode(errors="replace"))

    def tail(self, lines: int = 12) -> str:
        """The last lines of its output, for a failure's message."""
        return f"--- {self.name} ({self.status}):\n" + "\n".join(self.output().splitlines()[-lines:])

    def run(self, *command: str) -> str:
        """The output of a command run on it."""
        status, output = self._container.exec_run(list(command))
        assert status == 0, f"{command} on {self.name}: {output!r}"
        return str(output.decode())

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait for its end; the exit status."""
        wait_for(lambda: self.status == "exited", f"{self.name} has ended\n{self.tail()}", timeout_s)
        self.meant_to_run = False
        return int(self._container.attrs["State"]["ExitCode"])

    @property
    def health(self) -> str:
        """What the engine thinks of it: starting, healthy, unhealthy."""
        self._container.reload()
        return str(self._container.attrs["State"].get("Health", {}).get("Status", ""))

    # --- what is done to it -------------------------------------------------------------------------------

    def terminate(self) -> None:
        """SIGTERM, as `docker stop` sends it."""
        self.meant_to_run = False
        self._container.kill("SIGTERM")

    def interrupt(self) -> None:
        """SIGINT, as Ctrl-C does."""
        self._container.kill("SIGINT")

    def kill(self) -> None:
        """Pull the plug."""
        self.meant_to_run = False
        self._container.kill("SIGKILL")

    def start_again(self) -> None:
        """Power it up after a `kill`; its disk is as it was."""
        self._container.start()
        self.meant_to_run = True

    def pause(self) -> None:
        """Freeze all of it."""
        self._container.pause()

    def unpause(self) -> None:
        """Go on as if nothing had been."""
        self._container.unpause()

    def cut_off(self) -> None:
        """Pull the network cable."""
        self._address = self.address
        self._wire.network._unwrap_network.disconnect(self._container)

    def reconnect(self) -> None:
        """Put the cable back; the address is the old one."""
        self._wire.network._unwrap_network.connect(
            self._container, aliases=[self.name], ipv4_address=self._address
        )

    def close(self) -> None:
        """Remove it, whatever it is doing."""
        with contextlib.suppress(NotFound):
            self._made.stop()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
