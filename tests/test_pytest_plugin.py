"""The fixtures, as users' tests find them: in a pytest of their own."""

from __future__ import annotations

import sys

import pytest

from pydoredis.server import find_server
from tests.redis_process import NO_SERVER

pytest_plugins = ["pytester"]

OURS = "[pytest]\naddopts = -p no:cacheprovider\n"


@pytest.fixture
def server() -> None:
    if find_server() is None:
        pytest.skip(NO_SERVER)


def test_without_redis(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYDOREDIS_URL", "redis://nobody.invalid:1")
    pytester.makepyfile(
        program="""
        import pydoredis as dr

        def squares(n):
            return dr.foreach(x=range(n)).dopar(lambda x: x * x)
        """,
        test_program="""
        import threading
        import pytest
        import pydoredis as dr
        from program import squares

        def test_squares(pydoredis_in_process):
            assert squares(4) == [0, 1, 4, 9]

        def test_queue(pydoredis_in_process):
            assert pydoredis_in_process.foreach([2]).dopar(abs) == [2]

        def test_what_a_pool_could_not_do_fails(pydoredis_in_process):
            with pytest.raises(dr.LocalProtocolError, match="lock"):
                dr.foreach([threading.Lock()]).dopar(id)

        def test_other_tests_have_none():
            with pytest.raises(dr.ConfigError, match="registered first"):
                squares(4)
        """,
    )
    pytester.makeini(OURS)
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


def test_a_pool_for_the_session(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, server: None
) -> None:
    monkeypatch.setenv("PYDOREDIS_URL", "redis://nobody.invalid:1")  # not the pool of tests
    pytester.makeini(OURS + "pydoredis_workers = 1\n")
    pytester.makepyfile(
        test_one="""
        import os, time
        import pytest
        import pydoredis as dr

        pytestmark = pytest.mark.usefixtures("pydoredis_queue")
        jobs = []

        def agent():
            return [os.getpid(), os.getppid()]

        def test_a(pydoredis_pool):
            assert len(pydoredis_pool.workers()) == 1
            pids, = dr.foreach(range(1)).dopar(agent)
            assert os.getpid() not in pids
            jobs.append(pids)

        def test_leaves_a_job(pydoredis_queue):
            jobs.append(dr.foreach([60]).submit(time.sleep))

        def test_b():
            assert jobs[1].status == "cancelled"
            pids, = dr.foreach(range(1)).dopar(agent)
            assert pids[1] == jobs[0][1], "the same pool"
        """,
        test_two="""
        import pytest
        import pydoredis as dr

        def test_unregistered(pydoredis_pool):
            with pytest.raises(dr.ConfigError, match="registered first"):
                dr.foreach([1]).dopar(abs)
            assert pydoredis_pool.foreach([-1]).dopar(abs) == [1]
        """,
    )
    pytester.runpytest_subprocess("--timeout=60").assert_outcomes(passed=4)


def test_named_in_pytest_plugins_as_well(pytester: pytest.Pytester) -> None:
    pytester.makeini(OURS)
    pytester.makeconftest("pytest_plugins = ['pydoredis.testing.plugin']")
    pytester.makepyfile("def test(pydoredis_in_process): pass")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_number_that_is_none(pytester: pytest.Pytester) -> None:
    pytester.makeini(OURS + "pydoredis_workers = many\n")
    pytester.makepyfile("def test(pydoredis_queue): pass")
    done = pytester.runpytest_subprocess()
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*pydoredis_workers = many: must be a number of workers from 1 on*"])


def test_tests_that_use_none_load_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeini(OURS)
    pytester.makepyfile(
        """
        import sys
        def test():
            assert "pydoredis.testing.plugin" in sys.modules
            assert not {"redis", "numpy", "rinterop", "pydoredis.queue"} & sys.modules.keys()
        """
    )
    pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:anyio").assert_outcomes(passed=1)


def test_the_package_needs_no_pytest(pytester: pytest.Pytester) -> None:
    program = "import sys; from pydoredis.testing import in_process, pool; sys.exit('pytest' in sys.modules)"
    assert pytester.run(sys.executable, "-c", program).ret == 0
