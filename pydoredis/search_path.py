"""Python processes that find the same modules as the program that started them."""

from __future__ import annotations

import os
import sys

VARIABLE = "PYDOREDIS_SYS_PATH"
"""Environment variable with the program's module search path."""


def of_this_program() -> str:
    """Value of the variable for a process that has the same working directory."""
    return os.pathsep.join(path or os.getcwd() for path in sys.path)


def command(module: str, *, in_environment: bool = False) -> list[str]:
    """How to start Python so that it calls `main` of a module and exits with what that returns.

    Args:
        module: The module.
        in_environment: Whether the variable will be set there; by default if it is set here.
    """
    if not in_environment and VARIABLE not in os.environ:
        return [sys.executable, "-m", module]
    path = f"sys.path[:] = os.environ['{VARIABLE}'].split(os.pathsep)"
    return [sys.executable, "-c", f"import os, sys; {path}; from {module} import main; sys.exit(main())"]
