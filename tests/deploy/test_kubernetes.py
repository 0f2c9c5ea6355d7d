"""The Kubernetes manifests: valid for the versions in use, and their shutdown does what they say."""

from __future__ import annotations

import importlib
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from pydoredis.settings import WorkerSettings
from tests.worker.agent_process import QUEUE, Gate, Job, pass_gate, worker

PATH = Path(__file__).parents[2] / "deploy" / "kubernetes" / "worker.yaml"
DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(PATH.read_text()))

VERSIONS = ("1.28", "1.32", "1.36")


def the(kind: str, name: str = "pydoredis-worker") -> dict[str, Any]:
    (found,) = [doc for doc in DOCUMENTS if doc["kind"] == kind and doc["metadata"]["name"] == name]
    return found


POD: dict[str, Any] = the("Deployment")["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]
ENVIRONMENT: dict[str, Any] = {variable["name"]: variable for variable in CONTAINER["env"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("number", range(len(DOCUMENTS)))
def test_valid(number: int, version: str) -> None:
    try:
        validator: Any = importlib.import_module("kubernetes_validate")
    except ImportError:
        pytest.skip("needs kubernetes-validate")
    validator.validate(DOCUMENTS[number], version, strict=True)
    broken = {**DOCUMENTS[number], "spec": {**DOCUMENTS[number]["spec"], "replica": 1}}
    with pytest.raises(validator.ValidationError):
        validator.validate(broken, version, strict=True)


def test_all_mean_the_same_pods() -> None:
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert the("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    (allowed,) = the("NetworkPolicy", "pydoredis-redis")["spec"]["ingress"]
    wanted = allowed["from"][0]["podSelector"]["matchLabels"].items()
    assert wanted <= labels.items(), "workers reach Redis"
    to_redis = the("NetworkPolicy")["spec"]["egress"][0]["to"][0]["podSelector"]
    assert to_redis == the("NetworkPolicy", "pydoredis-redis")["spec"]["podSelector"]


def test_workers_are_given_what_their_settings_say() -> None:
    known = {name: variable["value"] for name, variable in ENVIRONMENT.items() if "value" in variable}
    settings = WorkerSettings.load(environ={**known, "PYDOREDIS_CONFIG": "/dev/null"})
    assert settings.queues == ("RJOBS",)
    assert str(settings.workers) == CONTAINER["resources"]["limits"]["cpu"]
    assert "value" not in ENVIRONMENT["PYDOREDIS_PASSWORD"], "it is in a secret"
    mounts = {mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert mounts == {volume["name"] for volume in POD["volumes"]}


def test_times_fit_together() -> None:
    hook = CONTAINER["lifecycle"]["preStop"]["exec"]["command"][-1]
    waits_s = int(hook.rpartition("sleep ")[2])
    assert POD["terminationGracePeriodSeconds"] == waits_s + 30
    assert int(ENVIRONMENT["PYDOREDIS_GRACE"]["value"]) > POD["terminationGracePeriodSeconds"]


def test_the_hook_lets_tasks_finish_and_the_end_of_it_gives_them_back(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    program, option, script = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    gate = Gate(tmp_path)
    path = gate.path
    job = Job(redis_client, lambda i: pass_gate(path, i))
    grace = ENVIRONMENT["PYDOREDIS_GRACE"]["value"]
    job.submit(2)
    with worker(redis_url, "--grace", grace, workers=2) as agent, gate.held(2):
        with gate.held(1):
            # The pod's first process is the agent here, and the hook does not wait as long.
            hook = script.replace("TERM 1;", f"TERM {agent.pid};").replace("sleep 270", "sleep 0.1")
            assert "TERM 1;" not in hook
            subprocess.run([program, option, hook], check=True)
        job.results(1)
        assert agent.running, "the other task still runs"
        agent.process.send_signal(signal.SIGTERM)  # what Kubernetes does when the hook has ended
        assert agent.wait() == 0
    assert len(job.queued()) == 1
    assert redis_client.get(f"{QUEUE}.count") == b"0"
