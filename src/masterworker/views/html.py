"""The report as one HTML file: parts of the page, frozen, which work offline and ask for nothing.

Its scripts and styles are known to its own policy by their digests, so what a task has brought into
it as text can be no script: also where a browser would take the text for markup.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec
from msgspec.structs import replace

from masterworker.data.record import printable
from masterworker.recorder.shapes import Histories, History, RowCells
from masterworker.recorder.telling import halve
from masterworker.version import __version__
from masterworker.views.bundle import bundled
from masterworker.views.web.digest import digest
from masterworker.views.wording import name_of

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Snapshot
    from masterworker.views.known import Known

#: A report is smaller than this (bytes).
MOST: Final = 1_000_000
#: Workers that are named, those that were busy for longest first.
WORKERS: Final = 200
_EVENTS: Final = 200

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="masterworker {version}">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main id="page"><h1 class="headline" role="status">{headline}</h1></main>
<div id="more"></div>
<noscript>{plain}</noscript>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def write_html(known: Known, file: BinaryIO) -> None:
    """Write a report as HTML."""
    style, script = _text("page.css") + _text("report.css"), bundled("report", _module)
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    room = MOST - len(style.encode()) - len(script.encode()) - 50_000
    snapshot = known.snapshot
    for reduced in _steps(known.snapshot):
        snapshot = reduced
        data = _data(known, snapshot)
        if len(data.encode()) <= room:
            break
    view = digest(known.label, snapshot, is_over=known.saved is not None)
    headline = printable(view["headline"])
    page = _PAGE.format(
        policy=escape(policy, quote=True),
        version=__version__,
        title=escape(printable(f"{known.label}: report")),
        style=style,
        headline=escape(headline),
        plain=_plain(view),
        data=data,
        script=script,
    )
    file.write(page.encode())


def _data(known: Known, snapshot: Snapshot) -> str:
    """Return what scripts draw, as JSON in which nothing can end the element that it is in."""
    workers = sorted(snapshot.worker_list, key=lambda worker: worker.busy, reverse=True)
    body = {
        "view": digest(known.label, snapshot, is_over=known.saved is not None),
        "state": _state(known),
        "workers": workers[:WORKERS],
        "more_workers": max(0, len(workers) - WORKERS),
        "about": _about(known),
    }
    text = msgspec.json.encode(body).decode()  # what is no finite number is null
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _state(known: Known) -> dict[str, Any]:
    if known.saved is None:
        return {"state": "looked", "said": "", "at": None}
    state = "ended" if known.snapshot.ended else "gone"
    return {"state": state, "said": "", "at": known.saved}


def _about(known: Known) -> list[tuple[str, str]]:
    """Return names and values, in the order in which they are shown."""
    about = [*known.snapshot.about.items()]
    if known.master:
        about.append(("master", known.master))
    about.append(("run", known.snapshot.instance))
    made = datetime.now(UTC).isoformat(timespec="seconds")
    about.append(("this report", f"made by masterworker {__version__} at {made}"))
    return [(printable(name), printable(value)) for name, value in about]


# -- its size -----------------------------------------------------------------------------------


def _steps(snapshot: Snapshot) -> list[Snapshot]:
    """Return it in ever less detail, each of them with the whole job from its beginning on."""
    events = snapshot.events
    if len(events) > _EVENTS:
        kept = [event for event in events if event.kind in {"lost", "trouble"}]
        fewer = replace(snapshot, events=kept[: _EVENTS * 2])
    else:
        fewer = snapshot
    brief = _with_tracebacks(fewer, 1500)
    half = coarser(brief)
    return [snapshot, brief, half, _with_tracebacks(half, 300), coarser(_with_tracebacks(half, 0))]


def _with_tracebacks(snapshot: Snapshot, size: int) -> Snapshot:
    """Return it with the ends of tracebacks."""
    kinds = [
        replace(kind, traceback=kind.traceback[len(kind.traceback) - size :] if size else "")
        if len(kind.traceback) > size
        else kind
        for kind in snapshot.failures
    ]
    return replace(snapshot, failures=kinds)


def coarser(snapshot: Snapshot) -> Snapshot:
    """Return it with slots that are twice as long."""
    kept, rows = snapshot.histories, snapshot.rows
    tags = {
        name: History(*(getattr(each, field)[1::2] for field in History.__struct_fields__))
        for name, each in kept.tags.items()
    }
    cells = [
        RowCells(each.row, 0, halve(bytes(2 * each.first) + each.cells)) for each in rows.cells
    ]
    histories = Histories(kept.width * 2, 0, kept.slots // 2, tags)
    return replace(snapshot, histories=histories, rows=replace(rows, cells=cells))


# -- its parts ----------------------------------------------------------------------------------


def _plain(view: dict[str, Any]) -> str:
    """Return what a reader without scripts sees, such as one of mail."""
    figures = ("asked", "done", "failed", "cancelled", "waiting", "in_hand", "lost", "repeated")
    rows = "".join(
        f"<tr><th>{name.replace('_', ' ')}</th><td>{view[name]:,}</td></tr>" for name in figures
    )
    tags = "".join(
        f"<tr><td>{escape(printable(name_of(tag['name'])))}</td>"
        f"<td>{tag['done']:,} done</td><td>{tag['failed']:,} failed</td></tr>"
        for tag in view["tags"]
    )
    return f"<table>{rows}</table><table>{tags}</table>"


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _text(name: str) -> str:
    """Return one of our own files: of a report, or of the page."""
    own = files("masterworker.views").joinpath("static", name)
    place = own if own.is_file() else files("masterworker.views.web").joinpath("static", name)
    return place.read_text(encoding="utf-8")


def _module(name: str) -> str:
    return _text(f"{name}.js")
