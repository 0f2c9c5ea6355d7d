"""The secret with which a pool signs what is unpickled (`pydoredis.protocol.signatures`)."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydoredis.errors import ConfigError
from pydoredis.protocol.signatures import MAX_AGE_S, JobSigner, Signatures
from pydoredis.settings.parsers import positive
from pydoredis.settings.setting import PREFIX

VARIABLE: Final = f"{PREFIX}SECRET"
FILE_VARIABLE: Final = f"{PREFIX}SECRET_FILE"
AGE_VARIABLE: Final = f"{PREFIX}SECRET_MAX_AGE"

LEAST_LENGTH: Final = 16
"""Characters that a secret has at least."""


def signatures(environ: Mapping[str, str] | None = None) -> Signatures | None:
    """What signs and checks here; None if there is no secret.

    ``PYDOREDIS_SECRET`` holds the secret, or ``PYDOREDIS_SECRET_FILE`` names a file that does: one or more
    words. The first one signs, and whatever any of them has signed is accepted, tasks for
    ``PYDOREDIS_SECRET_MAX_AGE`` seconds (default: 7 days). No secret stands in an error.

    Args:
        environ: The environment; the process's own by default.

    Raises:
        ConfigError: If a secret is too short to be one, there is no such file, or the age is no number.
    """
    environ = os.environ if environ is None else environ
    text, source = environ.get(VARIABLE, ""), VARIABLE
    if not text and (name := environ.get(FILE_VARIABLE)):
        source = FILE_VARIABLE
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("secret file", name, f"a file that can be read ({error})", source) from None
        if not text.split():
            raise ConfigError("secret file", name, "a file with a secret in it", source)
    secrets = text.split()
    if any(len(secret) < LEAST_LENGTH for secret in secrets):
        wanted = f"{LEAST_LENGTH} characters or more each, as `openssl rand -hex 32` gives them"
        raise ConfigError("secret", "(too short)", wanted, source)
    if not secrets:
        return None
    max_age_s = positive("secret max age", environ.get(AGE_VARIABLE) or MAX_AGE_S, AGE_VARIABLE)
    return Signatures([secret.encode() for secret in secrets], time.time, max_age_s)


def job_signer() -> JobSigner | None:
    """What signs the tasks of one job of this program; None if there is no secret. Raises as `signatures`."""
    found = signatures()
    return None if found is None else JobSigner(found)
