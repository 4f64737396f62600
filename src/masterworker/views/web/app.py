"""The addresses of a page: its files, and how the job stands."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from masterworker.data.record import printable
from masterworker.errors import MasterworkerError
from masterworker.views.web.feed import Feed
from masterworker.views.web.guard import LOOPBACK, Guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from starlette.requests import Request

    from masterworker.views.web.watcher import Watcher

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


def application(watcher: Watcher, token: str, hosts: Collection[str] = ()) -> Guard:
    """Return what answers requests.

    Args:
        watcher: Knows how the job stands.
        token: Who has it may see the job.
        hosts: Further names under which the page is reached, through a proxy.
    """

    async def metrics(_: Request) -> Response:
        if find_spec("prometheus_client") is None:
            lacks = "metrics need prometheus_client: pip install 'masterworker[views]'\n"
            return PlainTextResponse(lacks, 404)
        from masterworker.views.metrics import CONTENT_TYPE, exposition  # for those who have it

        seen = watcher.seen(viewer=False)
        text = await run_in_threadpool(
            exposition, watcher.label, seen.snapshot, is_over=seen.is_over
        )
        return Response(text, media_type=CONTENT_TYPE)

    async def spans(request: Request) -> Response:
        try:
            found = await run_in_threadpool(watcher.spans, _number(request, "worker"))
        except MasterworkerError as error:
            return PlainTextResponse(f"{printable(str(error))}\n", 503)
        if found is None:
            return PlainTextResponse("ask again\n", 429)
        return JSONResponse([[e.tag, e.begin, e.end, e.tasks, e.busy] for e in found])

    async def snapshot(request: Request) -> Response:
        reply = await run_in_threadpool(feed.reply, _number(request, "from"))
        headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
        return Response(reply, headers=headers, media_type="application/json")

    feed = Feed(watcher)
    routes = [Route("/", _file("page.html")), Route("/snapshot", snapshot)]
    routes += [Route("/spans", spans), Route("/metrics", metrics)]
    routes += [Route(f"/{name}", _file(name)) for name in STATIC if name != "page.html"]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    free = {"/", *(f"/{name}" for name in STATIC)}
    return Guard(app, token, LOOPBACK | {host.lower() for host in hosts}, free)


def _number(request: Request, name: str) -> int:
    """Return a number of the query; 0: there is none."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with a file."""
    content = static(name)

    async def answer(_: Request) -> Response:
        return Response(content, media_type=STATIC[name])

    return answer
