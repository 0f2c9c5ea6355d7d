"""Who may see the dashboard, and who may act: tokens, cookies, and requests that foreign pages made."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from pydoredis.errors import ConfigError
from pydoredis.settings.setting import PREFIX

TOKEN_VARIABLE: Final = f"{PREFIX}DASHBOARD_TOKEN"

LEAST_LENGTH: Final = 16
"""Characters that a token has at least."""

SESSION_S: Final = 12 * 3600
"""For how long a browser is logged in."""

CSRF_HEADER: Final = "x-pydoredis-csrf"


def read_token(file: Path | None, environ: Mapping[str, str] | None = None) -> str | None:
    """The token that a file holds, or else ``PYDOREDIS_DASHBOARD_TOKEN``; None if there is none.

    Args:
        file: The file; white space around the token does not count.
        environ: The environment; the process's own by default.

    Raises:
        ConfigError: If the file cannot be read, or the token is too short or not ASCII. It does not hold it.
    """
    environ = os.environ if environ is None else environ
    token, source = environ.get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE
    if file is not None:
        source = ""
        try:
            token = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("token-file", str(file), f"a file that can be read ({error})") from None
    token = token.strip()
    if not token and file is None:
        return None
    # Printable ASCII: it travels in a header.
    if len(token) < LEAST_LENGTH or not all("!" <= character <= "~" for character in token):
        wanted = f"{LEAST_LENGTH} or more letters and digits, as `openssl rand -hex 32` gives them"
        raise ConfigError("dashboard token", "(not shown)", wanted, source or str(file))
    return token


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address, which may be a name.

    Raises:
        OSError: If nobody knows the name.
    """
    found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
    return all(ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback for *_, where in found)


def names_of_this_machine() -> set[str]:
    """What this machine calls itself; that may take as long as its name server does."""
    return {socket.gethostname(), socket.getfqdn()} - {""}


class Access:
    """Decides on requests, by their headers.

    Args:
        token: What proves that somebody may see the dashboard; None: everybody may who reaches it.
        actions: Whether jobs can be cancelled, and agents be sent away.
        hosts: Names under which the dashboard may be called. Addresses always may: a foreign page cannot make
            a browser take an address for its own, as it can with a name (DNS rebinding).
        clock: Seconds since 1970.

    Attributes:
        actions: As given.
        csrf: What a page has to say to act. It learns that from us, and no foreign page can read it.
    """

    def __init__(
        self,
        token: str | None,
        *,
        actions: bool = False,
        hosts: Collection[str] = ("localhost",),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.actions = actions
        self.csrf = secrets.token_urlsafe(32)
        self._token = None if token is None else token.encode()
        self._hosts = {host.lower().rstrip(".") for host in hosts}
        self._clock = clock
        # Cookies do not tell ports apart: two dashboards on a machine must not take each other's.
        self.cookie = f"pydoredis-{self._mac('name')[:8]}"

    # --- where a request comes from -----------------------------------------------------------------------

    def misdirected(self, headers: Headers) -> str | None:
        """Why a request is not for us, by the name that the browser knows us by; None if it is."""
        given = headers.getlist("host")
        name = _name_of(f"//{given[0]}") if len(given) == 1 else None
        if name is None:
            return "say in one Host header which dashboard is meant"
        if name in self._hosts or _is_address(name):
            return None
        return f"this dashboard is not called {name}; `--allow-host {name}` would let it be"

    def foreign(self, headers: Headers) -> str | None:
        """Why a request is one of a foreign page; None if it is none."""
        origin = headers.get("origin")
        # Without the scheme: a proxy may speak HTTPS to the browser.
        if origin is not None and urlsplit(origin).netloc.lower() != headers["host"].lower():
            return "pages of other origins cannot use this dashboard (a proxy has to pass on the Host header)"
        return None

    # --- who it is ----------------------------------------------------------------------------------------

    def is_token(self, text: str) -> bool:
        """Whether that is the token; takes as long whatever is wrong with it."""
        return self._token is not None and hmac.compare_digest(text.encode(errors="replace"), self._token)

    def has_bearer(self, headers: Headers) -> bool:
        """Whether a request brings the token in its header `Authorization`."""
        scheme, _, text = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(text.strip())

    def is_known(self, headers: Headers) -> bool:
        """Whether somebody may look: nobody needs a token, or it is given, or the cookie for it."""
        return self._token is None or self.has_bearer(headers) or self._has_cookie(headers)

    def new_cookie(self, headers: Headers) -> str:
        """The header `Set-Cookie` for a browser that has given the token."""
        until = str(int(self._clock() + SESSION_S))
        # Behind a proxy that speaks HTTPS, the browser is to keep it to HTTPS.
        secure = "; Secure" if headers.get("origin", "").startswith("https://") else ""
        value = f"{until}.{self._mac(f'until {until}')}"
        return f"{self.cookie}={value}; Max-Age={SESSION_S}; Path=/; HttpOnly; SameSite=Strict{secure}"

    def no_cookie(self) -> str:
        """The header `Set-Cookie` that logs a browser out."""
        return f"{self.cookie}=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict"

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        until, _, mac = (found.value if found else "").partition(".")
        right = hmac.compare_digest(mac.encode(errors="replace"), self._mac(f"until {until}").encode())
        return right and until.isdecimal() and self._clock() < int(until)

    def _mac(self, text: str) -> str:
        """Signs with the token, so that another token ends all sessions and a restart none."""
        return hmac.new(
            self._token or b"", f"pydoredis dashboard {text}".encode(), hashlib.sha256
        ).hexdigest()

    # --- what it may do -----------------------------------------------------------------------------------

    def refused_action(self, headers: Headers) -> str | None:
        """Why nothing is done; None if it may be. Who may look, and from where, has been decided before."""
        if not self.actions:
            return "this dashboard only shows; `--allow-actions` would have it act"
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return "an action is a JSON document (Content-Type: application/json)"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "pages of other origins cannot act"
        # No page makes a browser send a bearer token that it does not know.
        if self._token is not None and self.has_bearer(headers):
            return None
        given = headers.get(CSRF_HEADER, "").encode(errors="replace")
        if not hmac.compare_digest(given, self.csrf.encode()):
            return f"an action needs the header {CSRF_HEADER}, as /api/session gives it; reload the page"
        return None


def _name_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is no number
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return (parts.hostname or "").rstrip(".") or None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
