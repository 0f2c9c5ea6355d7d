"""The compiled helper. All else about the package is in pyproject.toml.

`PYDOREDIS_PURE=1` in the environment leaves the helper out, so that one wheel, `py3-none-any`, serves every
Python and every machine; serialization is then done in Python, which is slower. `PYDOREDIS_HELPER=1` makes it
an error if the helper cannot be compiled: a wheel that claims a platform must not come without it.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

SOURCES = Path("csrc")
PURE = bool(os.environ.get("PYDOREDIS_PURE"))
REQUIRED = bool(os.environ.get("PYDOREDIS_HELPER"))


def extensions() -> list[Extension]:
    """`rinterop._speed`; optional: where it cannot be compiled, the package installs and works without."""
    if PURE or sys.implementation.name != "cpython":
        return []
    try:
        import numpy
    except ImportError:
        if REQUIRED:
            raise
        return []
    return [
        Extension(
            "rinterop._speed",
            sources=[str(path) for path in sorted(SOURCES.glob("*.c"))],
            depends=[str(path) for path in sorted(SOURCES.glob("*.h"))],
            include_dirs=[numpy.get_include()],
            # NumPy's interface as of the oldest release that pyproject.toml allows: what is built with
            # NumPy 2 must not ask for more. NumPy's default is older still, and may be raised.
            define_macros=[("NPY_TARGET_VERSION", "NPY_1_24_API_VERSION")],
            # Hidden: names as short as `push` must not meet those of another library, such as R.
            extra_compile_args=["-O3", "-g0", "-std=c11", "-fvisibility=hidden"],
            optional=not REQUIRED,
        )
    ]


setup(ext_modules=extensions())
