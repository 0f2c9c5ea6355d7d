"""CPython's own tests of executors, as an importable module: those of the installed Python, not copied."""

from __future__ import annotations

import importlib
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "test_concurrent_futures"

ALIAS = "cpythons_tests_of_futures"
"""Under this name workers find them as well, whatever their own `test` package has."""

MISSING = f"this Python has no test/{NAME}; on Debian it is in the package libpython3-testsuite"


def installed() -> Path | None:
    """Where they are: a module, or a package from Python 3.12 on."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for library in (sysconfig.get_path("stdlib"), f"{sys.base_prefix}/lib/{version}", f"/usr/lib/{version}"):
        for path in (Path(library, "test", NAME), Path(library, "test", f"{NAME}.py")):
            if path.exists():
                return path
    return None


def load(directory: Path) -> list[ModuleType]:
    """Import them by way of a link in `directory`, which workers have to have on their search path, too.

    Raises:
        FileNotFoundError: If they are not installed.
    """
    path = installed()
    if path is None:
        raise FileNotFoundError(MISSING)
    link = directory / f"{ALIAS}{path.suffix}"
    link.symlink_to(path)
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    names = [ALIAS]
    if path.is_dir():
        names += sorted(f"{ALIAS}.{part.stem}" for part in path.glob("[a-z]*.py"))
    return [importlib.import_module(name) for name in names]


def find(modules: list[ModuleType], name: str) -> Any:
    """What is called so in one of the modules; None if that is in none of them."""
    return next((getattr(module, name) for module in modules if hasattr(module, name)), None)
