"""The addresses of a page: its files, and how the job stands."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from masterworker.views.web.guard import LOOPBACK, Guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from starlette.requests import Request

    from masterworker.views.web.feed import Feed

#: The files of a page, all that there are: nothing else is looked up by a path.
STATIC: Final = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
} | dict.fromkeys(
    (
        "words.js",
        "parts.js",
        "patch.js",
        "tables.js",
        "charts.js",
        "bigpicture.js",
        "draw.js",
        "main.js",
    ),
    "text/javascript; charset=utf-8",
)


def static(name: str) -> bytes:
    """Return a file of the page."""
    return files("masterworker.views.web").joinpath("static", name).read_bytes()


def application(feed: Feed, token: str, hosts: Collection[str] = ()) -> Guard:
    """Return what answers requests.

    Args:
        feed: Makes the replies about the job.
        token: Who has it may see the job.
        hosts: Further names under which the page is reached, through a proxy.
    """

    async def snapshot(request: Request) -> Response:
        base = request.query_params.get("from", "0")
        number = int(base) if base.isascii() and base.isdecimal() and len(base) < 16 else 0
        reply = await run_in_threadpool(feed.reply, number)
        headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
        return Response(reply, headers=headers, media_type="application/json")

    routes = [Route("/", _file("page.html")), Route("/snapshot", snapshot)]
    routes += [Route(f"/{name}", _file(name)) for name in STATIC if name != "page.html"]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    free = {"/", *(f"/{name}" for name in STATIC)}
    return Guard(app, token, LOOPBACK | {host.lower() for host in hosts}, free)


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with a file."""
    content = static(name)

    async def answer(_: Request) -> Response:
        return Response(content, media_type=STATIC[name])

    return answer
