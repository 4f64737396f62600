"""Who is served: requests of pages that this process has given, by whom the address was told.

A browser sends requests for every page that it shows, also for hostile ones, and any program of
this machine can connect to a port of it. So each request is judged by its method, by the host that
it names (a name that an attacker lets point to this machine is not ours), by what the browser says
of the page that it comes from, and, for whatever is told of the job, by a random token in a header
of our own: other pages cannot send it, and browsers do not send it by themselves as they send
cookies.
"""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The header that has the token.
TOKEN_HEADER: Final = "x-masterworker-token"  # noqa: S105  its name
#: Here it may also come as `Authorization`.
METRICS: Final = "/metrics"
#: Names of this machine for itself.
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: Headers of which a second one would be another opinion.
ONCE: Final = frozenset({"authorization", "host", "origin", "sec-fetch-site", TOKEN_HEADER})
#: Characters of an address at most, and seconds in which a reply must have been taken.
LONGEST: Final = 2_000
PATIENCE: Final = 20.0

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Refused(Exception):
    """A request is not answered.

    Args:
        status: Of HTTP.
        text: Why, in one sentence.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def judge(
    method: str, target: str, headers: Iterable[tuple[bytes, bytes]], hosts: Collection[str]
) -> dict[str, str]:
    """Check all of a request but its token. Returns its headers.

    Args:
        method: As in the request.
        target: Path and query.
        headers: Names are in lower case.
        hosts: Names under which this process is reached.

    Raises:
        Refused: It is not to be answered.
    """
    if method != "GET":
        raise Refused(405, "only GET is answered")
    if len(target) > LONGEST:
        raise Refused(414, "this address is too long")
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.decode("latin-1")
        if key in found and key in ONCE:
            raise Refused(400, f"there are two headers {key}")
        found[key] = value.decode("latin-1")
    if found.get("content-length", "0") != "0" or "transfer-encoding" in found:
        raise Refused(413, "a request has no body")
    _judge_host(found, hosts)
    _judge_page(found)
    return found


def _judge_host(headers: dict[str, str], hosts: Collection[str]) -> None:
    host = headers.get("host", "")
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not name or not port.isdecimal():
        name = host
    if name.lower() not in hosts:
        raise Refused(421, "this is not a name of this page: --host-name NAME makes it one")


def _judge_page(headers: dict[str, str]) -> None:
    """Refuse what a page of others has caused, but for a link to this one that is followed."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers["host"].lower():
        raise Refused(403, "another page asks, and gets nothing")
    is_link = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == (
        "navigate",
        "document",
    )
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"} and not is_link:
        raise Refused(403, "another page asks, and gets nothing")


class Guard:
    """Stands before an application, and lets through what is to be answered.

    Args:
        app: The application.
        token: Who has it may see the job.
        hosts: Names under which this process is reached, in lower case.
        free: Paths of what tells nothing of the job.
        patience: Seconds in which a reply must have been taken.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        hosts: Collection[str],
        free: Collection[str],
        patience: float = PATIENCE,
    ) -> None:
        self._app, self._token = app, token.encode()
        self._hosts, self._free = frozenset(hosts), frozenset(free)
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)

        app: Any = self._app
        try:
            target = scope["path"] + "?" + scope["query_string"].decode("latin-1")
            headers = judge(scope["method"], target, scope["headers"], self._hosts)
            if scope["path"] not in self._free:
                self._check(headers, scope["path"])
        except Refused as refused:
            told = {"connection": "close"} | ({"allow": "GET"} if refused.status == 405 else {})
            app = PlainTextResponse(f"{refused}\n", refused.status, told)
        async with asyncio.timeout(self._patience):
            await app(scope, receive, sent)

    def _check(self, headers: dict[str, str], path: str) -> None:
        given = headers.get(TOKEN_HEADER, "").encode("latin-1")
        if path == METRICS and not given:  # by what Prometheus can be told to send
            given = headers.get("authorization", "").removeprefix("Bearer ").encode("latin-1")
        if not hmac.compare_digest(given, self._token):
            raise Refused(401, "open the address that was printed when this page was started")
