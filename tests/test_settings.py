"""Where settings come from, which of two wins, and what is refused."""

from __future__ import annotations

import dataclasses
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st
from typer.main import get_command

from pydoredis import errors
from pydoredis.cli import app
from pydoredis.errors import ConfigError
from pydoredis.settings import ConfigFile, ConnectionSettings, WorkerSettings, cpu_count, environment_name
from pydoredis.settings.setting import settings_of
from tests import settings_table

NO_FILE = ConfigFile()
SECRET = "s3cr3t:/@?#&=% é"


def connect(environ: dict[str, str] | None = None, **arguments: Any) -> ConnectionSettings:
    """`ConnectionSettings.load` on an empty machine."""
    arguments.setdefault("config", NO_FILE)
    return ConnectionSettings.load(environ=environ or {}, **arguments)


def worker(environ: dict[str, str] | None = None, **arguments: Any) -> WorkerSettings:
    """`WorkerSettings.load` on an empty machine, with a queue."""
    arguments.setdefault("config", NO_FILE)
    arguments.setdefault("queues", ["Q"])
    return WorkerSettings.load(environ=environ or {}, **arguments)


class TestConnection:
    def test_default(self) -> None:
        settings = connect()
        assert settings == ConnectionSettings()
        assert (settings.url, settings.host, settings.port, settings.db) == (
            *("redis://localhost:6379/0", "localhost"),
            *(6379, 0),
        )
        assert (settings.username, settings.password, settings.path) == (None, None, None)

    def test_each_source_beats_the_next(self) -> None:
        layers: list[tuple[str, dict[str, Any], dict[str, str], ConfigFile]] = [
            ("redis://file/0", {}, {}, ConfigFile(Path("f"), {"url": "redis://file/0"})),
            ("redis://plain/0", {}, {"REDIS_URL": "redis://plain/0"}, NO_FILE),
            ("redis://ours/0", {}, {"PYDOREDIS_URL": "redis://ours/0"}, NO_FILE),
            ("redis://flag:1/0", {"host": "flag", "port": 1}, {}, NO_FILE),
            ("redis://url/0", {"url": "redis://url/0"}, {}, NO_FILE),
        ]
        arguments: dict[str, Any] = {}
        environ: dict[str, str] = {}
        config = NO_FILE
        for expected, more_arguments, more_environ, more_config in layers:
            arguments |= more_arguments
            environ |= more_environ
            config = config if more_config is NO_FILE else more_config
            assert connect(environ, config=config, **arguments).url == expected

    def test_an_empty_variable_is_no_variable(self) -> None:
        assert connect({"PYDOREDIS_URL": "", "REDIS_URL": "redis://b/0"}).host == "b"

    def test_host_or_port_alone(self) -> None:
        assert connect(host="h").url == "redis://h:6379/0"
        assert connect(port=7).url == "redis://localhost:7/0"
        assert connect(host="::1", port=7).url == "redis://[::1]:7/0"

    def test_login_and_database_are_put_into_whatever_address_was_found(self) -> None:
        found = connect({"REDIS_URL": "rediss://u:p@far:1/3?ssl_cert_reqs=none"}, password="q/", db=4)
        assert found.url == "rediss://u:q%2F@far:1/4?ssl_cert_reqs=none"
        local = connect(url="unix:///run/redis.sock?db=2", username="ann", password=SECRET, db=5)
        assert (local.path, local.db, local.username, local.password) == ("/run/redis.sock", 5, "ann", SECRET)
        assert (local.host, local.port) == (None, None)

    def test_password_from_the_environment_only_fills_a_gap(self) -> None:
        environ = {"PYDOREDIS_PASSWORD": "env"}
        assert connect(environ).password == "env"
        assert connect(environ, url="redis://:own@h").password == "own"
        assert connect(environ, url="redis://h?password=own").password == "own"
        assert connect(environ, password="flag").password == "flag"

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost",
            "http://h",
            "redis://h:port",
            "redis://h:0",
            "redis://h/x",
            "unix://",
            "unix://h/p",
        ],
    )
    def test_no_address(self, url: str) -> None:
        with pytest.raises(ConfigError, match="must be an address") as caught:
            connect({"REDIS_URL": "redis://unused/0"}, url=url)
        assert caught.value.setting == "url"

    def test_an_error_names_the_variable(self) -> None:
        with pytest.raises(ConfigError, match=r"url = 'bad' \(from REDIS_URL\)"):
            connect({"REDIS_URL": "bad"})

    @pytest.mark.parametrize(
        "arguments", [{"port": 0}, {"port": 65536}, {"db": -1}, {"host": "a/b"}, {"host": ""}]
    )
    def test_parts_out_of_range(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(ConfigError) as caught:
            connect(**arguments)
        assert caught.value.setting in arguments

    @pytest.mark.parametrize(
        "url",
        [
            *("redis://ann:{}@h:1/0", "redis://:{}@h", "rediss://:{}@h/2?ssl_cert_reqs=none"),
            *("unix://:{}@/run/r.sock?db=1", "redis://h?password={}", "redis://h?password={}&db=1"),
        ],
    )
    def test_the_password_is_never_shown(self, url: str) -> None:
        settings = connect(url=url.format(quote(SECRET, safe="")))
        assert settings.password == SECRET
        for shown in (repr(settings), str(settings), f"{settings}", settings.safe_url):
            assert "s3cr3t" not in shown
            assert "***" in shown

    @pytest.mark.parametrize(
        "url",
        [
            *("redis://:s3cr3t@h:port", "http://u:s3cr3t@h", "redis:/:s3cr3t@h", "redis://:s3cr3t/x@h:1/0"),
            *(
                "redis://[:s3cr3t@h",
                "//:s3cr3t@h",
                ":s3cr3t@h",
                "redis://h/x?password=s3cr3t",
                "redis://:s3cr3t#@h",
            ),
        ],
    )
    def test_the_password_is_not_in_errors(self, url: str) -> None:
        with pytest.raises(ConfigError) as caught:
            connect(url=url)
        assert "s3cr3t" not in f"{caught.value!r} {caught.value}"

    @given(
        user=st.text(min_size=1, max_size=20),
        password=st.text(min_size=1, max_size=20),
        db=st.integers(0, 99),
        base=st.sampled_from(["redis://h:1", "rediss://h/3", "unix:///tmp/a b.sock", "unix:///s?db=4"]),
    )
    def test_the_client_reads_what_was_meant(self, user: str, password: str, db: int, base: str) -> None:
        settings = connect(url=base, username=user, password=password, db=db)
        kwargs = redis.connection.parse_url(settings.url)  # type: ignore[no-untyped-call]
        assert (kwargs["username"], kwargs["password"], kwargs["db"]) == (user, password, db)
        assert (settings.username, settings.password, settings.db) == (user, password, db)
        assert kwargs.get("host") == settings.host
        assert kwargs.get("path") == settings.path
        assert f":{quote(password, safe='')}@" not in settings.safe_url


SENTINELS = "redis+sentinel://ann:{}@s1,s2:5/pool/3?sentinel_password={}"


class TestSeveralServers:
    def test_sentinels(self) -> None:
        word = quote(SECRET, safe="")
        settings = connect({"PYDOREDIS_URL": SENTINELS.format(word, word) + "&ssl_ca_certs=x"})
        assert (settings.kind, settings.scheme) == ("sentinel", "redis+sentinel")
        assert settings.nodes == (("s1", 26379), ("s2", 5))
        assert (settings.host, settings.port) == settings.nodes[0]
        assert (settings.service, settings.db, settings.username, settings.password) == (
            *("pool", 3),
            *("ann", SECRET),
        )
        parse: Any = redis.connection.parse_url
        master = parse(settings.server_url(("::1", 7)))
        assert (master["host"], master["port"], master["db"]) == ("::1", 7, 3)
        assert (master["username"], master["password"]) == ("ann", SECRET)
        assert "sentinel_password" not in master
        sentinel = parse(settings.sentinel_url(("s2", 5)))
        assert (sentinel["host"], sentinel["port"], sentinel["password"]) == ("s2", 5, SECRET)
        assert "username" not in sentinel
        assert "db" not in sentinel
        assert "connection_class" not in sentinel

    def test_tls_to_the_master_or_to_sentinels_or_both(self) -> None:
        for scheme, asked, expected in [
            ("rediss+sentinel", "no", ("rediss", "redis")),
            ("rediss+sentinel", "yes", ("rediss", "rediss")),
            ("redis+sentinel", "yes", ("redis", "rediss")),
        ]:
            settings = connect(url=f"{scheme}://s/pool?sentinel_tls={asked}&ssl_ca_certs=ca.pem")
            urls = settings.server_url(("m", 1)), settings.sentinel_url(("s", 2))
            assert tuple(url.partition(":")[0] for url in urls) == expected
            assert all("ssl_ca_certs=ca.pem" in url for url in urls if url.startswith("rediss"))

    def test_a_cluster(self) -> None:
        settings = connect(url="rediss+cluster://:x@[::1]:7000,[::2]:7001?ssl_cert_reqs=none")
        assert (settings.kind, settings.nodes) == ("cluster", (("::1", 7000), ("::2", 7001)))
        assert settings.server_url(("n", 1)) == "rediss://:x@n:1?ssl_cert_reqs=none&db=0"

    def test_login_and_database_are_put_in(self) -> None:
        settings = connect(url="redis+sentinel://s1:1,s2:2/pool", username="ann", password="p", db=4)
        assert settings.url == "redis+sentinel://ann:p@s1:1,s2:2/pool/4"
        settings = connect({"PYDOREDIS_PASSWORD": "p"}, url="redis+cluster://a,b")
        assert settings.url == "redis+cluster://:p@a,b"

    @pytest.mark.parametrize(
        ("url", "form"),
        [
            *[
                (f"redis+sentinel://{rest}", "name-of-the-master")
                for rest in ("s", "s/", "/pool", "s,/pool", "s:0/pool", "s/pool/x", "s/pool/0/1")
            ],
            ("redis+sentinel://s/pool?sentinel_pasword=x", "sentinel_password="),
            ("redis+sentinel://s/pool?sentinel_tls=maybe", "sentinel_tls=yes"),
            *[(f"redis+cluster://{rest}", "no database but 0") for rest in ("", "a,:1", "a/1", "a?db=1")],
            ("redis+cluster://a?sentinel_password=x", "no database but 0"),
            *[(f"redis://{rest}", r"redis\+sentinel") for rest in ("a,b", "a:1,b:2", "a?sentinel_tls=yes")],
            ("redis+ring://a", r"redis\+sentinel"),
        ],
    )
    def test_no_address(self, url: str, form: str) -> None:
        with pytest.raises(ConfigError, match=form):
            connect(url=url)

    @pytest.mark.parametrize(
        "url",
        [
            *(SENTINELS, "redis+sentinel://s/pool?sentinel_password={}&password={}"),
            *("redis+cluster://:{}@a,b", "rediss+cluster://:{}@a?ssl_password={}"),
        ],
    )
    def test_no_password_is_shown(self, url: str) -> None:
        word = quote(SECRET, safe="")
        settings = connect(url=url.format(word, word))
        for shown in (repr(settings), str(settings), settings.safe_url):
            assert "s3cr3t" not in shown
            assert shown.count("***") == url.count("{}")
        with pytest.raises(ConfigError) as caught:
            connect(url=f"{url.format(word, word)}{'&' if '?' in url else '?'}db=x")
        assert "s3cr3t" not in f"{caught.value!r} {caught.value}"

    def test_queues_of_a_cluster_need_one_hash_tag(self) -> None:
        cluster = connect(url="redis+cluster://a")
        assert cluster.at("{jobs}").tag == cluster.at("{jobs}", "{jobs}:urgent").tag == "jobs"
        with pytest.raises(
            ConfigError, match=r"queue = 'jobs': must be a name with a hash tag, as '\{jobs\}'"
        ):
            cluster.at("jobs")
        with pytest.raises(
            ConfigError, match=r"queues = '\{a\}, \{b\}': must be names with the same hash tag"
        ):
            cluster.at("{a}", "{b}")
        plain = connect(url="redis://a")
        assert plain.at("jobs", "{a}", "{b}") == plain


class TestFile:
    def write(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def test_where_it_is_looked_for(self, tmp_path: Path) -> None:
        home, cwd = tmp_path / "home", tmp_path / "cwd"
        cwd.mkdir()
        environ = {"HOME": str(home)}
        assert ConfigFile.find(environ, cwd).path is None
        expected = self.write(home / ".config/pydoredis/config.toml", "")
        assert ConfigFile.find(environ, cwd).path == expected
        environ["XDG_CONFIG_HOME"] = str(tmp_path / "xdg")
        assert ConfigFile.find(environ, cwd).path is None
        expected = self.write(tmp_path / "xdg/pydoredis/config.toml", "")
        assert ConfigFile.find(environ, cwd).path == expected
        expected = self.write(cwd / "pydoredis.toml", "")
        assert ConfigFile.find(environ, cwd).path == expected
        expected = self.write(tmp_path / "named.toml", "")
        environ["PYDOREDIS_CONFIG"] = str(expected)
        assert ConfigFile.find(environ, cwd).path == expected

    def test_a_named_file_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="existing file"):
            ConfigFile.find({"PYDOREDIS_CONFIG": str(tmp_path / "none")})

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("[redis", "a TOML file"),
            ("[worker]\nworker = 3", "one of codec"),
            ("[workers]\n", r"\[redis\] or \[worker\]"),
            ("redis = 3", r"\[redis\] or \[worker\]"),
        ],
    )
    def test_a_bad_file(self, tmp_path: Path, text: str, complaint: str) -> None:
        path = self.write(tmp_path / "bad.toml", text)
        with pytest.raises(ConfigError, match=complaint):
            ConfigFile.read(path)

    def test_a_whole_file(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path / "pydoredis.toml",
            """
            [redis]
            host = "far"
            port = 1
            username = "ann"
            password = "s3cr3t"
            db = 2

            [worker]
            queues = ["A", "B"]
            codec = "r"
            workers = 3
            iter = 100
            linger = 1.5
            timelimit = 60
            log = "w.log"
            loglevel = "debug"
            r_engine = "rscript"
            max_crashes = 1
            max_tasks = 1000
            max_memory = 2000
            max_age = 3600
            grace = 0
            """,
        )
        config = ConfigFile.read(path)
        assert "s3cr3t" not in repr(config)
        assert connect(config=config).url == "redis://ann:s3cr3t@far:1/2"
        assert WorkerSettings.load(environ={}, config=config) == WorkerSettings(
            queues=("A", "B"),
            codec="r",
            workers=3,
            iter=100,
            linger_s=1.5,
            timelimit_s=60,
            log=Path("w.log"),
            loglevel="DEBUG",
            r_engine="rscript",
            max_crashes=1,
            max_tasks=1000,
            max_memory_mb=2000,
            max_age_s=3600,
            grace_s=0,
        )

    def test_a_password_that_is_no_text_is_not_shown(self) -> None:
        with pytest.raises(ConfigError, match="text in quotes") as caught:
            connect(config=ConfigFile(Path("f"), {"password": 12345678}))
        assert "12345678" not in f"{caught.value!r}"


GOOD: dict[str, list[tuple[object, object]]] = {
    "codec": [("R", "r"), ("cloudpickle", "cloudpickle"), (" auto ", "auto")],
    "workers": [("3", 3), (1, 1)],
    "iter": [("5", 5), ("inf", None), ("none", None), (float("inf"), None)],
    "linger": [("0.5", 0.5), (2, 2.0)],
    "timelimit": [("0", 0.0), (7, 7.0)],
    "log": [("a.log", Path("a.log"))],
    "loglevel": [("warning", "WARNING")],
    "r_engine": [("RPY2", "rpy2")],
    "max_crashes": [("1", 1)],
    "max_tasks": [("5", 5), ("inf", None)],
    "max_memory": [("500", 500), ("none", None), (float("inf"), None)],
    "max_age": [("0.5", 0.5), (7, 7.0), ("inf", None)],
    "grace": [("0", 0.0)],
}
BAD: dict[str, list[object]] = {
    "codec": ["pickle", 1],
    "workers": ["0", "two", -1, 1.5, True, "1.0"],
    "iter": [0, "-1", "many"],
    "linger": [0, "-1", "nan", "inf", "soon", True, 10**400],
    "timelimit": [-1, "inf", []],
    "log": [1],
    "loglevel": ["loud"],
    "r_engine": ["python"],
    "max_crashes": [0],
    "max_tasks": [0, "some"],
    "max_memory": [0, "1 GB"],
    "max_age": [0, "-1", "old"],
    "grace": [-0.5],
}
FIELD = {
    "linger": "linger_s",
    "timelimit": "timelimit_s",
    "grace": "grace_s",
    "max_memory": "max_memory_mb",
    "max_age": "max_age_s",
}


class TestDeclarations:
    def test_the_documentation_has_them(self) -> None:
        text = settings_table.DOCUMENT.read_text(encoding="utf-8")
        assert text == settings_table.with_table(text), "python -m tests.settings_table writes it anew"

    def test_each_is_an_option_a_variable_a_key_and_an_attribute(self) -> None:
        command = get_command(app).commands["worker"]  # type: ignore[attr-defined]  # it is a group
        options = {name for parameter in command.params for name in parameter.opts}
        declared = settings_of(WorkerSettings)
        assert [s.attribute for s in declared] == [f.name for f in dataclasses.fields(WorkerSettings)]
        for setting in declared:
            assert {setting.option, setting.short or setting.option} <= options
            assert setting.variable == environment_name(setting.key)

    def test_their_defaults_in_words_are_the_defaults(self) -> None:
        words = {setting.key: setting.default for setting in settings_of(WorkerSettings)}
        assert (words["linger"], words["max_crashes"], words["codec"]) == ("30", "3", "auto")
        assert (words["max_age"], words["log"]) == ("no limit", "standard error")
        assert all(words.values())

    def test_what_was_not_declared_is_refused(self) -> None:
        with pytest.raises(TypeError, match="lingers"):
            worker(None, lingers=1)


class TestWorker:
    def test_defaults(self) -> None:
        settings = worker()
        assert settings == WorkerSettings(queues=("Q",))
        assert (settings.codec, settings.iter, settings.linger_s, settings.timelimit_s) == (
            "auto",
            None,
            30,
            0,
        )
        assert (settings.loglevel, settings.r_engine, settings.max_crashes) == ("INFO", "auto", 3)
        assert settings.workers == cpu_count() >= 1
        assert settings.log is None

    def test_a_queue_is_needed(self) -> None:
        with pytest.raises(ConfigError, match="PYDOREDIS_QUEUE"):
            WorkerSettings.load(environ={}, config=NO_FILE)

    def test_queues(self) -> None:
        assert worker(queues=None, environ={"PYDOREDIS_QUEUE": "B, A,B"}).queues == ("B", "A")
        assert worker(queues=[], environ={"PYDOREDIS_QUEUE": "A"}).queues == ("A",)
        assert worker(queues=["C"], environ={"PYDOREDIS_QUEUE": "A"}).queues == ("C",)
        # Spaces and commas are fine in names that are given one by one.
        assert worker(queues=["a b", "c,d"]).queues == ("a b", "c,d")
        with pytest.raises(ConfigError):
            worker(queues=None, environ={"PYDOREDIS_QUEUE": "A,,B"})

    @pytest.mark.parametrize("name", GOOD)
    def test_each_setting_from_each_source(self, name: str) -> None:
        field = FIELD.get(name, name)
        for given_value, expected in GOOD[name]:
            in_file = ConfigFile(Path("f"), worker={name: given_value})
            assert getattr(worker(config=in_file), field) == expected
            assert getattr(worker(None, **{field: given_value}), field) == expected
            if isinstance(given_value, str):
                assert getattr(worker({environment_name(name): given_value}), field) == expected

    @pytest.mark.parametrize("name", BAD)
    def test_each_setting_refuses_nonsense_and_says_where(self, name: str) -> None:
        for value in BAD[name]:
            with pytest.raises(ConfigError) as caught:
                worker(config=ConfigFile(Path("the-file"), worker={name: value}))
            assert (caught.value.setting, caught.value.value, caught.value.source) == (
                name,
                value,
                "the-file",
            )
            with pytest.raises(ConfigError):
                worker(None, **{FIELD.get(name, name): value})
            with pytest.raises(ConfigError):
                WorkerSettings(queues=("Q",), **{FIELD.get(name, name): value})  # type: ignore[arg-type]

    @given(
        argument=st.none() | st.integers(1, 99),
        variable=st.none() | st.integers(1, 99),
        in_file=st.none() | st.integers(1, 99),
    )
    def test_the_first_source_that_has_it_wins(
        self, argument: int | None, variable: int | None, in_file: int | None
    ) -> None:
        settings = worker(
            {} if variable is None else {"PYDOREDIS_MAX_CRASHES": str(variable)},
            max_crashes=argument,
            config=ConfigFile(Path("f"), worker={} if in_file is None else {"max_crashes": in_file}),
        )
        assert settings.max_crashes == (argument or variable or in_file or 3)

    @example(value="~nobody-of-that-name")
    @given(value=st.text(max_size=8))
    def test_nothing_but_config_errors_escapes(self, value: str) -> None:
        for name in GOOD:
            with suppress(ConfigError):
                worker({environment_name(name): value})


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("workers", "x", "a whole number", "PYDOREDIS_WORKERS"),
        errors.StoreUnavailable("redis://h:1/0", "Connection refused"),
        errors.LocalProtocolError("no"),
        errors.RemoteProtocolError("no list", "Q.out.J"),
        errors.TaskError("J", [3, 4], "no good", ValueError("no good"), "sqrt(x)"),
        errors.EvaluatorError("rscript", "died", -9, "bye"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_a_pipe(error: errors.DoRedisError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.__dict__.keys() == error.__dict__.keys()
