"""The systemd unit of the service: what it says, and how it is put in place, taken away and asked after."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydoredis.errors import ConfigError, DoRedisError
from pydoredis.service.conf import DEFAULT_USER, SAMPLE, ServiceConfig

DEFAULT_NAME: Final = "pydoredis-worker"
UNITS: Final = Path("/etc/systemd/system")
RUNNING_SYSTEMD: Final = Path("/run/systemd/system")
"""There where systemd runs the machine (sd_booted(3))."""

STOP_S: Final = 45
"""How long systemd waits for running tasks, in seconds: more than `grace` (30), so that agents can give back
what runs."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]+")

_TEMPLATE: Final = """\
# Written by `pydoredis service install`. Change it with `systemctl edit {name}`.
[Unit]
Description=pydoredis workers ({config})
Documentation=https://pypi.org/project/pydoredis/
Wants=network-online.target
After=network-online.target redis-server.service

[Service]
Type=notify
# Read as root, so that the file, which may hold a password, need not be readable for the workers' user.
LoadCredential={credential}:{config}
ExecStart={python} -m pydoredis service run --config ${{CREDENTIALS_DIRECTORY}}/{credential}
{identity}
# Redis may come up later than we do.
TimeoutStartSec=5min
WatchdogSec=60
# The first SIGTERM, to the main process alone, lets running tasks finish.
KillMode=mixed
TimeoutStopSec={stop_s}
Restart=always
RestartSec=5
# Status 2 is a setting that makes no sense: trying again does not help.
RestartPreventExitStatus=2

# Where bodies may leave files: here, in /var/lib/{state}, and in a /tmp of their own.
StateDirectory={state}
WorkingDirectory=%S/{state}
Environment=HOME=%S/{state}
PrivateTmp=yes
UMask=0077

# Bodies are anybody's code. They may compute, reach the network and read what everybody may read.
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
# Not here, for bodies may need them: PrivateDevices (GPUs), MemoryDenyWriteExecute (Numba, Julia, browsers).

[Install]
WantedBy=multi-user.target
"""


class ServiceError(DoRedisError):
    """systemd did not do what it was asked.

    Attributes:
        command: What was asked.
        said: What it said.
    """

    def __init__(self, command: str, said: str) -> None:
        super().__init__(command, said)
        self.command = command
        self.said = said

    def __str__(self) -> str:
        return f"{self.command}: {self.said or 'failed'}"


@dataclass(frozen=True, slots=True)
class Service:
    """The service of a name.

    Attributes:
        name: Of the unit, without `.service`.
        folder: Where units are.
    """

    name: str = DEFAULT_NAME
    folder: Path = UNITS

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError("name", self.name, "letters, digits and any of _ . @ -")

    @property
    def path(self) -> Path:
        """The unit's file."""
        return self.folder / f"{self.name}.service"

    @property
    def managed(self) -> bool:
        """Whether systemd runs this machine, and looks where the unit is."""
        return self.folder == UNITS and RUNNING_SYSTEMD.is_dir() and shutil.which("systemctl") is not None

    def text(self, config: Path, user: str) -> str:
        """What the unit says.

        Args:
            config: The configuration file.
            user: Whom the workers run as; for `nobody`, whose files other services may have as well, a user
                that is there only while the service runs.

        Raises:
            ConfigError: If a name cannot stand in a unit.
        """
        for setting, value in (("config", str(config)), ("python", sys.executable), ("user", user)):
            if not value or any(character.isspace() or character in "%$\\\"'" for character in value):
                raise ConfigError(setting, value, "without spaces and without any of % $ \\ \" '")
        return _TEMPLATE.format(
            name=self.name,
            config=config,
            credential=config.name,
            python=sys.executable,
            identity="DynamicUser=yes" if user == DEFAULT_USER else f"User={user}",
            stop_s=STOP_S,
            state="pydoredis" if self.name == DEFAULT_NAME else self.name,
        )

    def install(self, config: Path, user: str | None = None) -> list[str]:
        """Write the unit, and a configuration file if there is none; start the service where systemd runs.

        Args:
            config: The configuration file.
            user: Whom the workers run as; by default the one that the file names.

        Returns:
            What was done, in lines for people.

        Raises:
            ConfigError: If the configuration makes no sense, or files cannot be written.
            ServiceError: If systemd does not start it.
        """
        done: list[str] = []
        config = config.absolute()
        if not config.exists():
            _write(config, SAMPLE, mode=0o600)
            done.append(f"wrote {config}: edit it, then `systemctl restart {self.name}`")
        chosen = user or _user_of(config)
        _write(self.path, self.text(config, chosen), mode=0o644)
        done.append(f"wrote {self.path}")
        if self.managed:
            _systemctl("daemon-reload")
            _systemctl("enable", self.name)
            _systemctl("restart", "--no-block", self.name)
            done.append(f"started {self.name}; `pydoredis service status` shows how it is")
        else:
            done.append(
                f"systemd does not run here: on a machine where it does, systemctl enable --now {self.name}"
            )
        return done

    def uninstall(self) -> list[str]:
        """Stop the service and remove its unit; the configuration file stays.

        Returns:
            What was done, in lines for people.

        Raises:
            ServiceError: If there is none, or systemd does not stop it.
            ConfigError: If the file cannot be removed.
        """
        if not self.path.exists():
            raise ServiceError(f"service {self.name}", f"there is none ({self.path})")
        done: list[str] = []
        if self.managed:
            _systemctl("disable", "--now", self.name)
            done.append(f"stopped {self.name}")
        try:
            self.path.unlink()
        except OSError as error:
            raise ConfigError(
                "path", str(self.path), f"a file that can be removed ({error.strerror})"
            ) from error
        done.append(f"removed {self.path}")
        if self.managed:
            _systemctl("daemon-reload")
        return done

    def status(self) -> dict[str, str]:
        """How it is: `state` (as systemd has it, or `not installed`, `systemd does not run here`), and more
        where systemd knows more."""
        if not self.path.exists():
            return {"name": self.name, "state": "not installed"}
        if not self.managed:
            return {"name": self.name, "state": "systemd does not run here"}
        wanted = ("ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "ActiveEnterTimestamp")
        shown = _systemctl("show", self.name, f"--property={','.join(wanted)}")
        said = dict(line.partition("=")[::2] for line in shown.splitlines())
        return {
            "name": self.name,
            "state": said.get("ActiveState", "unknown"),
            "details": said.get("SubState", ""),
            "status": said.get("StatusText", ""),
            "pid": said.get("MainPID", ""),
            "restarts": said.get("NRestarts", ""),
            "since": said.get("ActiveEnterTimestamp", ""),
        }


def _user_of(config: Path) -> str:
    return DEFAULT_USER if config.suffix == ".toml" else ServiceConfig.read(config).user


def _write(path: Path, text: str, *, mode: int) -> None:
    try:
        path.touch(mode=mode)  # before anything is in it
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError("path", str(path), f"a file that can be written ({error.strerror})") from error


def _systemctl(*arguments: str) -> str:
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServiceError(f"systemctl {' '.join(arguments)}", done.stderr.strip())
    return done.stdout
