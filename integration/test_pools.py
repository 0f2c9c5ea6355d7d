"""What users run, on pools of every kind, under coordinators in R: always the value that plain R gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from integration.site import Site
from tests.peers import test_examples as examples

pytestmark = [pytest.mark.timeout(150), pytest.mark.xdist_group("pools")]

# The examples of doRedis's vignette and manual, which the fast suite runs on processes of one machine.
EXAMPLES: list[tuple[Callable[..., None], dict[str, Any]]] = [
    (examples.test_pi_by_random_points, {}),
    (examples.test_bootstrap_with_a_package, {"chunk_size": 1}),
    (examples.test_bootstrap_with_a_package, {"chunk_size": 3}),
    (examples.test_seeds_do_not_depend_on_workers_or_chunks, {"generator": "Mersenne-Twister"}),
    (examples.test_seeds_do_not_depend_on_workers_or_chunks, {"generator": "L'Ecuyer-CMRG"}),
    (examples.test_seeds_of_the_users_own, {}),
    (examples.test_matrices_that_workers_fetch_from_redis, {}),
    (examples.test_initialization_once_per_worker_and_job, {}),
    (examples.test_closures_dots_and_nested_loops, {}),
    (examples.test_errors_stop_pass_or_vanish, {"chunk_size": 1}),
    (examples.test_errors_stop_pass_or_vanish, {"chunk_size": 2}),
]


def _name(example: tuple[Callable[..., None], dict[str, Any]]) -> str:
    function, parameters = example
    shown = "-".join(str(value) for value in parameters.values())
    return function.__name__.removeprefix("test_") + (f"-{shown}" if shown else "")


@pytest.mark.usefixtures("r_peer")
@pytest.mark.parametrize("example", EXAMPLES, ids=_name)
@pytest.mark.parametrize("kind", ["ours", "mixed"])
def test_under_r(
    kind: str,
    pool: Site,
    example: tuple[Callable[..., None], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What counts is what the images have, and they have it.
    monkeypatch.setattr(examples, "missing_r_packages", lambda names: ())
    function, parameters = example
    function(kind=kind, shared_pool=lambda _: cast(Any, pool), **parameters)
    pool.check()


@pytest.mark.usefixtures("r_peer")
@pytest.mark.parametrize("kind", ["ours", "mixed"])
def test_what_rs_own_tools_show(kind: str, pool: Site) -> None:
    # Until R's tools have looked, however long an R takes to start here.
    wait = 'for (k in 1:600) if (is.null(redisGet("hurry"))) Sys.sleep(0.1) else break'
    job = pool.coordinator(f"say(foreach(i = 1:2, .combine = c) %dopar% {{ {wait}; i }})")
    # A worker without R may take a task, too, but only to put it back.
    able = [machine for machine in pool.machines if not machine.name.startswith("python")]
    pool.wait_for(lambda: sum(map(pool.works, able)) == 2, "both tasks run")
    running = {machine.name for machine in able if pool.works(machine)}
    # Of this job alone: the keys of tasks that are done stay for some seconds.
    job_id = pool.keys("env")[0].removeprefix(f"{pool.queue}.env.").split("_")[0]
    count, shown, hosts = pool.coordinator(
        f"""
        say(as.numeric(getDoParWorkers()))
        say(as.character(jobs()$queue))
        seen <- tasks(id = "{job_id}")
        say(as.character(seen$host[order(seen$iter)]))
        """
    ).values()
    pool.hurry()
    assert count == str(pool.count)
    assert shown == f'"{pool.queue}"'
    found = set(hosts.removeprefix("c(").removesuffix(")").replace('"', "").split(", "))
    # What was put back leaves a mark for some seconds, as everything does that ended.
    assert running <= found <= {machine.name for machine in pool.machines}
    assert job.value() == "1:2"
    pool.client.delete("hurry")
    pool.check()
