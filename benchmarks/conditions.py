"""Under which conditions benchmarks ran: the machine, the versions of all that took part, the date."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from pydoredis.server import EmbeddedServer

PACKAGES = (
    *("pydoredis", "redis", "hiredis", "numpy", "cloudpickle", "rpy2-rinterface"),
    *("rq", "celery", "huey", "dramatiq", "distributed", "joblib", "rdata", "rds2py"),
)
"""Python packages whose versions matter: ours, what it stands on, and the peers."""

R_PACKAGES = ("doRedis", "redux", "foreach")

_ROOT = Path(__file__).parents[1]


def conditions() -> dict[str, Any]:
    """All of it, as JSON has it. What is not installed here is None."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "versions": versions(),
    }


def machine() -> dict[str, Any]:
    """Processor, memory and system. Neither its name nor its users."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory, GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": _system(),
        # What builders of kernels add to the number compares with nothing.
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def versions() -> dict[str, str | None]:
    """By name."""
    found: dict[str, str | None] = {
        "commit": _said("git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--exclude=*"),
        "Python": platform.python_version(),
        "Redis": _redis(),
        "R": _said("Rscript", "-e", "cat(paste0(R.version$major, '.', R.version$minor))"),
    }
    found |= {f"R package {name}": _r_package(name) for name in R_PACKAGES}
    return found | {name: _package(name) for name in PACKAGES}


def _processor() -> str | None:
    with contextlib.suppress(OSError):
        if found := re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M):
            return found[1]
    return platform.processor() or None


def _system() -> str:
    with contextlib.suppress(OSError):
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    return platform.system()


def _redis() -> str | None:
    """What the embedded server runs: it may be Valkey, which says which Redis it is like."""
    with EmbeddedServer() as server, server.client() as client:
        told: Any = client.info("server")
    if "valkey_version" in told:
        return f"Valkey {told['valkey_version']}"
    return str(told["redis_version"])


def _r_package(name: str) -> str | None:
    return _said("Rscript", "-e", f"cat(as.character(packageVersion('{name}')))")


def _package(name: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return None


def _said(*command: str) -> str | None:
    """What a program prints; None where it is missing or fails."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip() or None
    return None
