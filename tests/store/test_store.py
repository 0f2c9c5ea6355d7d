"""The store against a real Redis: what it writes, what its scripts decide, and how it survives trouble."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
import redis

import rinterop
from pydoredis.errors import ConfigError, StoreUnavailable
from pydoredis.protocol import wire
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Task
from pydoredis.settings import ConnectionSettings
from pydoredis.store import Claim
from pydoredis.store import WorkerStore as Store
from tests.conftest import wait_until
from tests.redis_process import RedisProcess

KEYS = QueueKeys("Q")
LISTS = {KEYS.queue: KEYS}
JOB = "1_u_h_2026-11-23-11:45:31.773"


@pytest.fixture
def store(redis_url: str) -> Iterator[Store]:
    store = Store(ConnectionSettings(redis_url))
    yield store
    store.close()


def make_claim(
    *iterations: int, tag: str = "iters 1...1 host h pid 2 begin now", payload: bytes = b"task"
) -> Claim:
    return Claim(KEYS, Task(JOB, iterations or (1,), payload), tag)


@pytest.fixture
def marked(store: Store, redis_client: redis.Redis) -> Claim:
    """A claim on iteration 1 of a living job."""
    redis_client.set(KEYS.env(JOB), b"environment")
    claim = make_claim(1)
    store.mark([claim], {})
    return claim


class TestJoining:
    def test_opens_the_queue_and_counts_as_r_does(self, store: Store, redis_client: redis.Redis) -> None:
        store.join([KEYS], 2)
        assert redis_client.get("Q.live") == wire.LIVE_VALUE
        assert len(wire.LIVE_VALUE) == 39
        assert redis_client.get("Q.count") == b"2"

    def test_leaves_a_live_key_alone(self, store: Store, redis_client: redis.Redis) -> None:
        redis_client.set("Q.live", b"already")
        store.join([KEYS], 1)
        assert redis_client.get("Q.live") == b"already"

    def test_leaving_counts_down_but_never_below_zero(self, store: Store, redis_client: redis.Redis) -> None:
        redis_client.set("Q.count", 3)
        store.leave([KEYS], 2)
        assert redis_client.get("Q.count") == b"1"
        store.leave([KEYS], 2)
        assert redis_client.get("Q.count") == b"0"

    def test_leaving_a_removed_queue_creates_nothing(self, store: Store, redis_client: redis.Redis) -> None:
        store.leave([KEYS], 2)
        assert redis_client.keys("*") == []


class TestJoiningAgain:
    def test_every_agent_is_counted_again_after_a_restart_without_data(
        self, store: Store, redis_client: redis.Redis
    ) -> None:
        run_id = store.run_id()
        assert store.rejoin([KEYS], 2, run_id) == [KEYS]
        assert store.rejoin([KEYS], 3, run_id) == [KEYS]
        assert redis_client.get("Q.count") == b"5"
        assert redis_client.get("Q.live") == wire.LIVE_VALUE

    def test_nobody_is_counted_again_where_the_count_was_kept(
        self, store: Store, redis_client: redis.Redis
    ) -> None:
        store.join([KEYS], 2)
        assert store.rejoin([KEYS], 2, store.run_id()) == []
        assert redis_client.get("Q.count") == b"2"

    def test_each_run_of_the_server_has_a_name_of_its_own(self) -> None:
        with RedisProcess() as server:
            store = Store(ConnectionSettings(server.url))
            first = store.run_id()
            server.stop()
            server.start()
            assert store.run_id() != first


class TestTaking:
    def test_a_later_queue_is_looked_at_only_when_the_earlier_is_empty(
        self, store: Store, redis_client: redis.Redis
    ) -> None:
        second = QueueKeys("größe 2")
        redis_client.rpush("Q", b"a", b"b")
        redis_client.rpush(second.queue, b"c", b"d")
        _, taken = store.exchange([], {**LISTS, second.queue: second}, 3)
        assert taken == [(KEYS, b"a"), (KEYS, b"b"), (second, b"c")]
        assert redis_client.lrange(second.queue, 0, -1) == [b"d"]

    def test_waiting_ends_with_a_task(self, store: Store, redis_client: redis.Redis) -> None:
        redis_client.rpush("Q", b"a")
        assert store.wait({"P": QueueKeys("P"), **LISTS}, 1.0) == (KEYS, b"a")

    def test_waiting_ends_by_itself(self, store: Store) -> None:
        assert store.wait(LISTS, 0.05) is None

    def test_waiting_can_be_ended_from_another_connection(self, store: Store, redis_url: str) -> None:
        waiter = Store(ConnectionSettings(redis_url), timeout_s=40, reconnects=0)
        number = waiter.client_id()
        ended: list[object] = []
        thread = threading.Thread(target=lambda: ended.append(waiter.wait(LISTS, 30)))
        thread.start()

        def ended_by_us() -> bool:
            store.unblock(number)
            return not thread.is_alive()

        wait_until(ended_by_us, "the wait has ended")
        thread.join()
        waiter.close()
        assert ended == [None]


class TestMarking:
    def test_writes_what_a_coordinator_looks_for(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        assert redis_client.get(marked.start) == rinterop.dumps(rinterop.values.integer(1))
        assert 0 < redis_client.pttl(marked.alive) <= 10_000
        assert redis_client.ttl(marked.start) == -1

    def test_reads_the_environment(self, store: Store, redis_client: redis.Redis) -> None:
        claim = make_claim(1)
        assert store.mark([claim], {}).environments == {claim.env: None}
        redis_client.set(claim.env, b"one")
        assert store.mark([claim], {}).environments == {claim.env: b"one"}
        redis_client.set(claim.env, b"two")
        assert store.mark([claim], {claim.env: b"one"}).environments == {claim.env: b"two"}

    def test_reads_a_large_environment_once(self, store: Store, redis_client: redis.Redis) -> None:
        claim = make_claim(1)
        large = b"x" * 1_000_000
        redis_client.set(claim.env, large)
        found = store.mark([claim], {claim.env: large}).environments[claim.env]
        assert found is large
        redis_client.set(claim.env, b"y" * 1_000_001)
        assert store.mark([claim], {claim.env: large}).environments[claim.env] == b"y" * 1_000_001

    def test_knows_which_tasks_killed_executors(self, store: Store, redis_client: redis.Redis) -> None:
        bad, good = make_claim(3, 4), make_claim(5, 6)
        redis_client.set(bad.env, b"environment")
        assert store.count_crash(bad, 4, "killed by SIGKILL") == 1
        assert store.count_crash(bad, 4, "killed by SIGSEGV") == 2
        assert store.mark([bad, good], {}).crashed == [True, False]
        (crash,) = store.crashes(bad)
        assert (crash.iteration, crash.deaths, crash.cause) == (4, 2, "killed by SIGSEGV")
        assert store.crashes(good) == []


class TestPublishing:
    def publish(self, store: Store, claim: Claim, result: bytes = b"result") -> str | None:
        outcomes, _ = store.exchange([(claim, result)], LISTS, 0)
        return outcomes[0]

    def test_pushes_clears_start_and_lets_alive_expire(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        assert self.publish(store, marked) == "published"
        assert redis_client.lrange(KEYS.out(JOB), 0, -1) == [b"result"]
        assert not redis_client.exists(marked.start)
        assert 2000 < redis_client.pttl(marked.alive) <= 3000
        assert redis_client.ttl(KEYS.published(JOB)) > 0

    def test_twice_does_it_once(self, store: Store, redis_client: redis.Redis, marked: Claim) -> None:
        assert self.publish(store, marked) == "published"
        assert self.publish(store, marked) == "published"
        assert redis_client.llen(KEYS.out(JOB)) == 1

    def test_nothing_for_a_job_that_is_over(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(KEYS.env(JOB))
        assert self.publish(store, marked) == "job-gone"
        assert not redis_client.exists(KEYS.out(JOB), marked.start)

    def test_not_what_another_of_ours_published(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        copy = make_claim(1, tag="iters 1...1 host other pid 3 begin now")
        store.mark([copy], {})
        assert self.publish(store, marked) == "published"
        assert self.publish(store, copy) == "duplicate"
        assert self.publish(store, copy) == "duplicate"
        assert redis_client.llen(KEYS.out(JOB)) == 1
        assert not redis_client.exists(copy.start)

    def test_again_if_the_coordinator_asks_a_third_time(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        """It lost the first result with its connection: refusing for ever would hang the loop."""
        second, third = make_claim(1, tag="second"), make_claim(1, tag="third")
        store.mark([second, third], {})
        assert self.publish(store, marked) == "published"
        assert self.publish(store, second) == "duplicate"
        assert self.publish(store, third) == "published"
        assert redis_client.llen(KEYS.out(JOB)) == 2

    def test_not_what_was_resubmitted_after_a_lapse(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive)
        assert store.beat([marked]) == ["lapsed"]
        redis_client.delete(marked.start)
        assert self.publish(store, marked) == "resubmitted"
        assert not redis_client.exists(KEYS.out(JOB))

    def test_after_a_lapse_that_nobody_noticed(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive)
        store.beat([marked])
        assert self.publish(store, marked) == "published"

    def test_not_after_a_lapse_without_start_key_before_any_heartbeat(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive, marked.start)
        assert self.publish(store, marked) == "resubmitted"
        assert not redis_client.exists(KEYS.out(JOB))

    def test_leaves_an_alive_key_for_a_while_after_a_lapse_too(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive)
        assert self.publish(store, marked) == "published"
        assert 2000 < redis_client.pttl(marked.alive) <= 3000

    def test_if_a_third_party_deleted_the_start_key(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.start)
        assert self.publish(store, marked) == "published"

    def test_with_scripts_flushed(self, store: Store, redis_client: redis.Redis, marked: Claim) -> None:
        redis_client.script_flush()
        redis_client.rpush("Q", b"next")
        outcomes, taken = store.exchange([(marked, b"result")], LISTS, 1)
        assert (outcomes, taken) == (["published"], [(KEYS, b"next")])
        assert redis_client.llen(KEYS.out(JOB)) == 1

    def test_a_server_that_refuses_leaves_the_result_with_us(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.config_set("maxmemory", 1)
        try:
            assert self.publish(store, marked) is None
        finally:
            redis_client.config_set("maxmemory", 0)
        assert self.publish(store, marked) == "published"


class TestBeating:
    def test_refreshes(self, store: Store, redis_client: redis.Redis, marked: Claim) -> None:
        redis_client.pexpire(marked.alive, 500)
        assert store.beat([marked]) == ["alive"]
        assert redis_client.get(marked.alive) == b"OK"
        assert redis_client.pttl(marked.alive) > 9000

    def test_puts_back_a_start_key_that_a_third_party_deleted(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.start)
        assert store.beat([marked]) == ["restored"]
        assert redis_client.get(marked.start) == marked.start_value

    def test_does_not_restore_what_was_published(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        store.exchange([(marked, b"result")], LISTS, 0)
        store.beat([marked])
        assert not redis_client.exists(marked.start)

    def test_does_not_restore_what_was_given_back(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        store.give_back([marked], "head")
        store.beat([marked])
        assert not redis_client.exists(marked.start)

    def test_does_not_restore_for_a_job_that_is_over(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.start, marked.env)
        store.beat([marked])
        assert not redis_client.exists(marked.start)

    def test_a_lapse_is_remembered(self, store: Store, redis_client: redis.Redis, marked: Claim) -> None:
        redis_client.delete(marked.alive)
        store.beat([marked])
        assert marked.lapsed
        assert redis_client.exists(marked.alive), "nobody took the task yet: it is alive again"
        assert store.beat([marked]) == ["alive"]
        assert marked.lapsed


class TestForOurCoordinators:
    def test_leaves_neither_marks_nor_a_record(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        marked.ours = True
        redis_client.expire(marked.env, 100)
        assert store.exchange([(marked, b"result")], LISTS, 0)[0] == ["published"]
        assert not redis_client.exists(marked.start, marked.alive, marked.published)
        assert 0 < int(redis_client.ttl(marked.out)) <= 100

    def test_one_that_cannot_be_published_does_not_hold_up_the_others(
        self, store: Store, redis_client: redis.Redis
    ) -> None:
        bad = Claim(KEYS, Task("J2", (1,), b"task"), "bad")
        good = make_claim(2, tag="good")
        for claim in (bad, good):
            redis_client.set(claim.env, b"environment")
        store.mark([bad, good], {})
        redis_client.set(bad.out, "no list")
        assert store.exchange([(bad, b"1"), (good, b"2")], LISTS, 0)[0] == [None, "published"]
        redis_client.delete(bad.out)
        assert store.exchange([(bad, b"1")], LISTS, 0)[0] == ["published"]


class TestGivingBack:
    def test_to_the_head_in_order(self, store: Store, redis_client: redis.Redis) -> None:
        claims = [make_claim(n, tag=f"tag {n}", payload=b"%d" % n) for n in (1, 2, 3)]
        redis_client.set(claims[0].env, b"environment")
        redis_client.rpush("Q", b"later")
        store.mark(claims, {})
        assert store.give_back(claims, "head") == ["given-back"] * 3
        assert redis_client.lrange("Q", 0, -1) == [b"1", b"2", b"3", b"later"]
        assert not redis_client.keys("Q.start.*")

    def test_twice_does_it_once(self, store: Store, redis_client: redis.Redis, marked: Claim) -> None:
        store.give_back([marked], "tail")
        store.give_back([marked], "tail")
        assert redis_client.llen("Q") == 1

    def test_again_when_it_was_taken_again_under_the_same_tag(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        """Tags count whole seconds: a task that is refused twice in one must not vanish the second time."""
        assert store.give_back([marked], "tail") == ["given-back"]
        again = Claim(KEYS, marked.task, marked.tag)
        redis_client.delete("Q")
        store.mark([again], {})
        assert store.give_back([again], "tail") == ["given-back"]
        assert redis_client.llen("Q") == 1

    def test_not_what_was_resubmitted_before_any_heartbeat(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive, marked.start)
        assert store.give_back([marked], "head") == ["resubmitted"]
        assert not redis_client.exists("Q")

    def test_not_what_was_resubmitted(self, store: Store, redis_client: redis.Redis, marked: Claim) -> None:
        marked.lapsed = True
        redis_client.delete(marked.start)
        assert store.give_back([marked], "head") == ["resubmitted"]
        assert not redis_client.exists("Q")

    def test_not_for_a_job_that_is_over(self, store: Store, redis_client: redis.Redis, marked: Claim) -> None:
        redis_client.delete(marked.env)
        assert store.give_back([marked], "head") == ["job-gone"]
        assert not redis_client.exists("Q", marked.start)


class TestRecords:
    def test_kept_while_the_job_lives_and_no_longer(
        self, store: Store, redis_client: redis.Redis, marked: Claim
    ) -> None:
        store.exchange([(marked, b"result")], LISTS, 0)
        redis_client.expire(KEYS.published(JOB), 5)
        assert store.keep_records([(KEYS, JOB)])[0]
        assert redis_client.ttl(KEYS.published(JOB)) > 100
        redis_client.delete(KEYS.env(JOB))
        assert not store.keep_records([(KEYS, JOB)])[0]
        assert not redis_client.exists(KEYS.published(JOB))

    def test_dead_letters_are_bounded(
        self, store: Store, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pydoredis.store.worker.MAX_DEAD", 2)
        for payload in (b"1", b"2", b"3"):
            store.bury(KEYS, payload)
        assert redis_client.lrange(KEYS.dead, 0, -1) == [b"2", b"3"]


class TestServers:
    def test_nobody_there(self) -> None:
        with pytest.raises(StoreUnavailable, match="127\\.0\\.0\\.1:1/0"):
            Store(ConnectionSettings("redis://127.0.0.1:1/0")).check()

    def test_password_and_acl_user(self) -> None:
        with RedisProcess(password="geheim") as server:
            with pytest.raises(ConfigError, match="password"):
                Store(ConnectionSettings(f"redis://127.0.0.1:{server.port}/0")).check()
            with pytest.raises(ConfigError, match="password") as caught:
                Store(ConnectionSettings(f"redis://:falsch@127.0.0.1:{server.port}/0")).check()
            assert "falsch" not in str(caught.value)
            Store(ConnectionSettings(server.url)).check()
            with server.client() as client:
                client.acl_setuser("ada", enabled=True, passwords=["+x"], categories=["+@all"], keys=["*"])
            Store(ConnectionSettings(f"redis://ada:x@127.0.0.1:{server.port}/0")).check()

    def test_something_else_answers_there(self) -> None:
        with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
            threading.Thread(target=other.serve_forever, daemon=True).start()
            with pytest.raises((StoreUnavailable, ConfigError), match=str(other.server_port)):
                Store(ConnectionSettings(f"redis://127.0.0.1:{other.server_port}/0")).check()
            other.shutdown()

    def test_unix_socket_and_database_number(self, redis_process: RedisProcess) -> None:
        store = Store(ConnectionSettings(f"unix://{redis_process.socket_path}?db=3"))
        store.set_value(b"k", b"v")
        with redis.Redis(unix_socket_path=str(redis_process.socket_path), db=3) as client:
            assert client.get("k") == b"v"
        store.delete_value(b"k")
        assert store.get_value(b"k") is None

    def test_a_cut_connection_is_mended_with_its_password_and_database(self) -> None:
        with RedisProcess(password="geheim") as server, server.client() as client:
            store = Store(ConnectionSettings(server.url.replace("/0", "/2")))
            store.set_value(b"k", b"v")
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert store.get_value(b"k") == b"v"

    def test_a_restarted_server(self) -> None:
        with RedisProcess() as server:
            store = Store(ConnectionSettings(server.url))
            store.set_value(b"k", b"v")
            server.stop()
            with pytest.raises(StoreUnavailable):
                store.get_value(b"k")
            server.start()
            assert store.get_value(b"k") is None
