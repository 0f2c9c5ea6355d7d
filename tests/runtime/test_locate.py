"""R and rpy2 are found or missed, and what is said names what to do."""

from __future__ import annotations

import atexit
import functools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pydoredis.worker import engines
from rinterop.install_hints import pip_install_extra
from rinterop.runtime import locate
from tests.runtime.own_process import in_own_process

ROOT = Path(__file__).parent.parent.parent
HOW_TO_INSTALL_IT = pip_install_extra(locate.rpy2_extra())


@functools.cache
def packages_but_rpy2() -> Path:
    """A folder of everything that is installed, without rpy2."""
    folder = Path(tempfile.mkdtemp(prefix="pydoredis-test-"))
    atexit.register(shutil.rmtree, folder)
    for entry in Path(np.__file__).parent.parent.iterdir():
        if not entry.name.startswith(("rpy2", "_rinterface")):
            (folder / entry.name).symlink_to(entry)
    return folder


def python(code: str, *paths: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python that finds this project, what is in `paths`, and no other rpy2."""
    path = [str(entry) for entry in (ROOT, *paths, packages_but_rpy2())]
    return subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"],
        env={**{k: v for k, v in os.environ.items() if k != "R_HOME"}, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


START = """
from rinterop.runtime import embedded
from rinterop.runtime.base import RuntimeUnavailableError
try:
    embedded.start()
except RuntimeUnavailableError as exc:
    print(exc)
"""
PROBLEM = "from rinterop.runtime import locate; print(locate.static_problem())"


def rpy2(folder: Path, version: str, code: str) -> Path:
    """An installed rpy2 of some version, as far as one looks before using it."""
    library = folder / "rpy2" / "rinterface_lib"
    library.mkdir(parents=True)
    (library / "openrlib.py").write_text(code)
    about = folder / f"rpy2_rinterface-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: rpy2-rinterface\nVersion: {version}\n")
    return folder


def test_the_advice_is_a_command_that_works_here() -> None:
    """From a checkout the name of the package would not do."""
    program, *arguments, requirement = shlex.split(HOW_TO_INSTALL_IT)
    assert Path(program).samefile(sys.executable)
    assert arguments == ["-m", "pip", "install", "-e"]
    assert Path(requirement.removesuffix(f"[{locate.rpy2_extra()}]")).samefile(ROOT)


def test_no_r() -> None:
    done = python(PROBLEM, PATH="/nowhere")
    assert done.stdout.startswith("R was not found (install R"), done


@pytest.mark.needs_r
def test_no_rpy2() -> None:
    assert python(PROBLEM).stdout == f"rpy2 is not installed ({HOW_TO_INSTALL_IT})\n"


@pytest.mark.parametrize(
    ("version", "extra"), [("4.2.2", "r"), ("4.4.3", "r"), ("4.5.0", "r45"), ("5.0.1", "r45")]
)
def test_rpy2_by_the_version_of_r(tmp_path: Path, version: str, extra: str) -> None:
    """A home of R as far as one looks at it."""
    for folder in ("lib", "bin", "library/base"):
        (tmp_path / "R" / folder).mkdir(parents=True)
    (tmp_path / "R/lib/libR.so").touch()
    (tmp_path / "R/library/base/DESCRIPTION").write_text(f"Package: base\nVersion: {version}\n")
    home = str(tmp_path / "R")
    assert python(PROBLEM, R_HOME=home).stdout == f"rpy2 is not installed ({pip_install_extra(extra)})\n"
    broken = rpy2(tmp_path / "site", "3.6.5", "raise OSError('no R_getVar')")
    assert f"pip install '{locate.RPY2_RANGES[extra]}'" in python(START, broken, R_HOME=home).stdout


def test_the_ranges_are_those_of_the_extras() -> None:
    """Of pyproject.toml, which the Makefile and the images go by."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra, requirement in locate.RPY2_RANGES.items():
        assert f'{extra} = ["{requirement}"]' in text


@pytest.mark.needs_r
@pytest.mark.skipif(not locate.available(), reason="rpy2 does not work here")
def test_the_mode_of_rpy2_is_named() -> None:
    from rpy2.rinterface_lib import openrlib

    assert locate.Probe().result().endswith(f" in {openrlib.cffi_mode.value} mode")


@pytest.mark.needs_r
def test_rpy2_too_new(tmp_path: Path) -> None:
    r = locate.find_r()
    assert r is not None
    if r.version >= (4, 5):
        pytest.skip("it fits this R")
    done = python(PROBLEM, rpy2(tmp_path, "3.6.7", ""))
    version = ".".join(map(str, r.version))
    assert f"rpy2-rinterface 3.6.7 does not fit R {version} (" in done.stdout
    assert "pip install 'rpy2-rinterface>=3.6.0,<3.6.6'" in done.stdout


@pytest.mark.needs_r
def test_rpy2_that_cannot_be_imported(tmp_path: Path) -> None:
    """What fails is no ImportError: cffi has an error of its own."""
    folder = rpy2(tmp_path, "3.6.5", "class FfiError(Exception): pass\nraise FfiError('symbol not found')")
    done = python(START, folder)
    assert "symbol not found" in done.stdout, done
    assert f"pip install '{locate.RPY2_RANGES[locate.rpy2_extra()]}'" in done.stdout


@pytest.mark.needs_r
def test_the_r_of_this_machine() -> None:
    r = locate.find_r()
    assert r is not None
    assert r.version >= (3, 5)
    assert r.rscript is not None
    assert r.rscript.exists()


@pytest.mark.needs_r
def test_choice_of_the_engine() -> None:
    assert engines.choose_r_engine("rscript").engine == "rscript"
    choice = engines.choose_r_engine("auto")
    assert choice.engine == ("rpy2" if locate.available() else "rscript")
    assert "R " in choice.reason
    with pytest.raises(ValueError, match="r-engine"):
        engines.choose_r_engine("perl")


@pytest.mark.needs_r
def test_choice_without_rpy2() -> None:
    code = """
from pydoredis.worker import engines
from pydoredis.errors import EvaluatorError
print(engines.choose_r_engine("auto"))
try:
    engines.choose_r_engine("rpy2")
except EvaluatorError as exc:
    print(exc)
"""
    done = python(code)
    assert "Choice(engine='rscript'" in done.stdout, done
    assert done.stdout.count(HOW_TO_INSTALL_IT) == 2


def test_choice_without_r() -> None:
    code = "from pydoredis.worker import engines; engines.choose_r_engine()"
    done = python(code, PATH="/nowhere")
    assert "EvaluatorError: rscript: R was not found" in done.stderr


def test_an_rscript_that_is_none(tmp_path: Path) -> None:
    """Not passed over in silence, not even where R could be had in another way."""
    code = "from pydoredis.worker.engines import selection; selection.Selection('auto', 'auto').result()"
    for name in (tmp_path / "no Rscript", tmp_path):
        done = python(code, PYDOREDIS_RSCRIPT=str(name))
        assert "ConfigError: PYDOREDIS_RSCRIPT" in done.stderr
        assert f"{str(name)!r}: must be an Rscript that can be run" in done.stderr
    assert not python(code.replace("'auto', 'auto'", "'cloudpickle', 'auto'"), PYDOREDIS_RSCRIPT="x").stderr


@pytest.mark.needs_r
def test_a_session_says_what_is_missing() -> None:
    code = """
import rinterop
try:
    rinterop.runtime.start()
except rinterop.runtime.RuntimeUnavailableError as exc:
    print(exc)
"""
    assert python(code).stdout == f"rpy2 is not installed ({HOW_TO_INSTALL_IT})\n"
    assert python(code, PATH="/nowhere").stdout.startswith("R was not found (install R")


@pytest.mark.needs_r
@in_own_process
def test_a_program_with_an_r_of_its_own_starts_others_with_the_paths_of_libraries() -> None:
    """For its own R they would come too late; workers that it starts need them."""
    from rinterop.runtime import start

    paths = ("LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
    for name in paths:
        os.environ.pop(name, None)
    r = start()
    home = r.eval("R.home()", convert=True)
    missing = locate.front_end_environment()
    assert any(f"{home}/lib" in missing.get(name, "").split(os.pathsep) for name in paths)
    os.environ.update(missing)
    assert locate.front_end_environment() == {}
