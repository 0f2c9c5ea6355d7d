"""What agents say of themselves: written and read, also by other versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.messages import Codec
from pydoredis.protocol.presence import Presence, minor_version

codecs: list[Codec] = ["r", "cloudpickle"]
words = st.text(st.characters(codec="utf-8"), max_size=20)
presences = st.builds(
    Presence,
    id=words,
    host=words,
    pid=st.integers(1, 2**31),
    workers=st.integers(1, 1000),
    codecs=st.lists(st.sampled_from(codecs), unique=True).map(tuple),
    python=words,
    r=words,
    version=words,
    pids=st.lists(st.integers(1, 2**31)).map(tuple),
)


def as_redis_gives_it(presence: Presence) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in presence.encode().items()}


@given(presences)
def test_what_is_written_is_read(presence: Presence) -> None:
    assert Presence.decode(as_redis_gives_it(presence)) == presence


@given(presences)
def test_fields_and_codecs_of_later_versions_are_passed_over(presence: Presence) -> None:
    fields = as_redis_gives_it(presence)
    fields[b"later"] = b"\xff"
    fields[b"codecs"] += b",julia"
    assert Presence.decode(fields) == presence


@given(st.dictionaries(st.sampled_from([b"id", b"pid", b"workers", b"pids", b"r"]), st.binary(max_size=5)))
def test_anything_else_is_an_error_of_ours(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(RemoteProtocolError):
        Presence.decode(fields)


def test_which_jobs_it_fits() -> None:
    agent = Presence("i", "h", 1, 2, ("cloudpickle",), "3.11.7", "", "0.1")
    assert agent.fits("cloudpickle")
    assert agent.fits("cloudpickle", "3.11")
    assert not agent.fits("cloudpickle", "3.1")
    assert not agent.fits("r")
    assert minor_version("3.11.0rc1") == "3.11"
