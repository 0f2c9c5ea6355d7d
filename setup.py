"""The compiled helper. All else about the package is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import Extension, setup

SOURCES = Path("csrc")


def extensions() -> list[Extension]:
    """`rinterop._speed`; optional: where it cannot be compiled, the package installs and works without."""
    if sys.implementation.name != "cpython":
        return []
    try:
        import numpy
    except ImportError:
        return []
    return [
        Extension(
            "rinterop._speed",
            sources=[str(path) for path in sorted(SOURCES.glob("*.c"))],
            depends=[str(path) for path in sorted(SOURCES.glob("*.h"))],
            include_dirs=[numpy.get_include()],
            # Hidden: names as short as `push` must not meet those of another library, such as R.
            extra_compile_args=["-O3", "-g0", "-std=c11", "-fvisibility=hidden"],
            optional=True,
        )
    ]


setup(ext_modules=extensions())
