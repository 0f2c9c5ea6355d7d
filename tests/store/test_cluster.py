"""A cluster: a queue with a hash tag is found on the node that has its slot, wherever that goes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import cloudpickle
import pytest

from pydoredis import admin
from pydoredis.errors import ConfigError, JobCancelled, StoreUnavailable
from pydoredis.protocol.keys import QueueKeys
from pydoredis.queue import Queue
from pydoredis.settings import ConnectionSettings
from pydoredis.shared_values import redis_delete, redis_get, redis_set
from pydoredis.store import Store
from pydoredis.telemetry import Telemetry
from tests.conftest import wait_until
from tests.faults.scene import lasting_keys
from tests.redis_process import RedisProcess, needs_server
from tests.several_redis import Cluster

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = needs_server

QUEUE, TAG = "{jobs}", "jobs"
FTINTERVAL = 3


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture
def connection(cluster: Cluster) -> ConnectionSettings:
    return ConnectionSettings(cluster.url)


def slow(x: int) -> int:
    time.sleep(0.02)
    return x


def nothing_stays(node: RedisProcess) -> None:
    with node.client() as client:
        wait_until(lambda: lasting_keys(client, QUEUE) == set(), "no orphan keys", 15)


@pytest.mark.slow
def test_each_queue_is_on_the_node_that_has_its_slot(cluster: Cluster) -> None:
    tags = ("jobs", "a", "b")
    assert {cluster.owner(tag) for tag in tags} == set(cluster.nodes), "one on each"
    for tag in tags:
        queue = Queue(f"{{{tag}}}", cluster.url, ftinterval=FTINTERVAL)
        with queue.start_local_workers(1, codec="cloudpickle"):
            assert queue.foreach(x=range(30), chunk_size=7).dopar(slow) == list(range(30))
            with cluster.owner(tag).client() as client:
                assert client.exists(f"{{{tag}}}.count")
            assert [worker.state for worker in queue.workers()] == ["idle"]
            job = queue.foreach(x=range(1000)).submit(slow)
            wait_until(lambda job=job: job.done > 0, "it is at work")  # type: ignore[misc]
            assert [row.job for row in queue.jobs()] == [job.id]
            assert queue.remove_job(job.id).job == job.id
            with pytest.raises(JobCancelled):
                job.result(20)
            queue.remove()
        nothing_stays(cluster.owner(tag))


@pytest.mark.slow
def test_values_of_users_may_be_anywhere(cluster: Cluster, connection: ConnectionSettings) -> None:
    names = ["jobs", "a", "b"]
    for name in names:
        redis_set(name, name.upper(), connection=connection)
        with cluster.owner(name).client() as client:
            assert client.exists(name)

    def body(name: str) -> str:
        redis_set(f"{name}!", "told")
        return str(redis_get(name))

    queue = Queue(QUEUE, cluster.url)
    with queue.start_local_workers(1, codec="cloudpickle"):
        assert queue.foreach(name=names).dopar(body) == ["JOBS", "A", "B"]
    for name in names:
        assert redis_get(f"{name}!", connection=connection) == "told"
        assert redis_delete(name, connection=connection)
        assert redis_delete(f"{name}!", connection=connection)
        assert redis_get(name, connection=connection) is None


def test_queues_that_a_cluster_would_tear_apart(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"a name with a hash tag, as '\{jobs\}'"):
        Queue("jobs", cluster.url)
    command = [sys.executable, "-m", "pydoredis", "worker", "--url", cluster.url, "-q", "{a}", "-q", "{b}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "must be names with the same hash tag" in done.stderr
    with pytest.raises(ConfigError, match="the name of one"):
        admin.jobs(connection=ConnectionSettings(cluster.url))


def test_an_address_of_the_wrong_kind(cluster: Cluster) -> None:
    other = next(node for node in cluster.nodes if node != cluster.owner(TAG))
    with pytest.raises(StoreUnavailable, match=r"an address redis\+cluster://… finds the one that has it"):
        Queue(QUEUE, other.url)
    with RedisProcess() as plain:
        cluster_url = f"redis+cluster://127.0.0.1:{plain.port}"
        with pytest.raises(StoreUnavailable, match="cluster support disabled"):
            Store(ConnectionSettings(cluster_url)).check()
        with pytest.raises(StoreUnavailable, match="nobody says where it is"):
            Store(ConnectionSettings(f"redis+sentinel://127.0.0.1:{plain.port}/pool")).check()


def test_a_slot_that_moves_behind_an_open_connection(
    cluster: Cluster, connection: ConnectionSettings
) -> None:
    """Its former node answers MOVED: then the slot is looked up, and the command is sent once more."""
    store = Store(connection.at("{moving}"))
    store.open_queue(QueueKeys("{moving}"))
    queue = Queue("{moving}", cluster.url)
    queue.foreach(x=[1]).submit(slow).cancel()  # leaves a connection for the next job
    source = cluster.owner("moving")
    target = cluster.nodes[cluster.nodes.index(source) - 1]
    cluster.move_slot("moving", target)
    store.open_queue(QueueKeys("{moving}:urgent"))
    queue.foreach(x=[1]).submit(slow).cancel()
    with target.client() as client:
        assert client.exists("{moving}.live")
        assert client.exists("{moving}:urgent.live")
    assert store.connections == 2
    store.close()


@pytest.mark.slow
def test_a_loop_while_its_slot_moves(cluster: Cluster) -> None:
    queue = Queue(QUEUE, cluster.url, ftinterval=FTINTERVAL)
    source = cluster.owner(TAG)
    target = cluster.nodes[cluster.nodes.index(source) - 1]
    with queue.start_local_workers(2, codec="cloudpickle") as workers:
        job = queue.foreach(x=range(300)).submit(slow)
        wait_until(lambda: job.done > 20, "some are done")
        cluster.move_slot(TAG, target)
        assert job.result(60) == list(range(300)), workers.output()
        with target.client() as client:
            assert client.get("{jobs}.count") == b"2"
    nothing_stays(target)


@pytest.mark.slow
def test_a_loop_while_the_node_with_its_slot_dies() -> None:
    with Cluster() as cluster:
        replica = cluster.add_replica(cluster.owner(TAG))
        queue = Queue(QUEUE, cluster.url, ftinterval=FTINTERVAL)
        with queue.start_local_workers(2, codec="cloudpickle") as workers:
            job = queue.foreach(x=range(300)).submit(slow)
            wait_until(lambda: job.done > 20, "some are done")
            master = cluster.owner(TAG)
            witness = next(node for node in cluster.nodes if node != master)
            master.stop()
            wait_until(lambda: cluster.owner_port(TAG, witness) == replica.port, "it is replaced", 30)
            assert job.result(60) == list(range(300)), workers.output()
            with replica.client() as client:
                wait_until(lambda: client.get("{jobs}.count") == b"2", "the workers are counted there")
        nothing_stays(replica)


@pytest.mark.slow
def test_one_look_at_a_queue_of_a_cluster(cluster: Cluster, connection: ConnectionSettings) -> None:
    queue = Queue(QUEUE, cluster.url, ftinterval=FTINTERVAL)
    with Telemetry(connection) as telemetry:
        with pytest.raises(ConfigError, match="Cluster"):
            telemetry.snapshot()
        with queue.start_local_workers(1, codec="cloudpickle"):
            assert queue.foreach(x=range(20)).dopar(slow) == [*range(20)]
            wait_until(lambda: telemetry.snapshot(QUEUE).queues[0].counters.iterations == 20, "it is told")
            (seen,) = telemetry.snapshot(QUEUE).queues
    assert (seen.queue, seen.workers, seen.agents, seen.backlog) == (QUEUE, 1, 1, 0)
    nothing_stays(cluster.owner(TAG))
