"""A connection to a real Redis: whom it finds, what it says of others, and how it survives trouble."""

from __future__ import annotations

import http.server
import threading

import pytest
import redis

from pydoredis.errors import ConfigError, StoreUnavailable
from pydoredis.settings import ConnectionSettings
from pydoredis.store import Store
from tests.redis_process import RedisProcess


class TestServers:
    def test_each_run_of_the_server_has_a_name_of_its_own(self) -> None:
        with RedisProcess() as server:
            store = Store(ConnectionSettings(server.url))
            first = store.run_id()
            server.stop()
            server.start()
            assert store.run_id() != first

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
