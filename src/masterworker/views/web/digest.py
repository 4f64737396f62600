"""What a page is shown of a job: the snapshot, without what a page has no room for.

Its size depends neither on the number of tasks nor on that of workers. The words are those of
`docs/snapshot.md`; what is added is said below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import to_builtins
from msgspec.structs import replace

from masterworker.recorder.shapes import Histories, History, no_rows
from masterworker.views import wording
from masterworker.views.web import bigpicture

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.recorder.shapes import Snapshot, Worker

#: Workers that are silent or at one task for longest, workers with the longest tasks, hosts.
SLOWEST: Final = 40
HOSTS: Final = 100
#: Tags with histories of their own; those of all others are added up.
TAGS: Final = 8
OTHERS: Final = "all others"

#: Lists of which a difference has only what has changed, and what an entry is known by.
KEYED: Final = {
    "tags": "name",
    "hosts": "name",
    "worker_list": "id",
    "failures": "order",
    "events": "order",
}


def digest(label: str, snapshot: Snapshot, *, is_over: bool = False) -> dict[str, Any]:
    """Return what a page is shown, as plain data.

    Beside the fields of a snapshot: `label`; `headline`, one sentence; `rate`, tasks per second of
    late; `more_hosts`, hosts that are left out; `rows` as `bigpicture.shown` has them; for each tag
    `when` it will be done; of hosts and workers, which are in the order in which they matter, those
    that are `slow` and those that are `silent`.

    Args:
        label: Its label.
        snapshot: How the job stands.
        is_over: It does not go on, so nothing is said of when it will be done.
    """
    if is_over:
        snapshot = wording.without_forecast(snapshot)
    hosts, workers = wording.ranked_hosts(snapshot), _workers(snapshot)
    slow = wording.slow_hosts(snapshot)
    reduced = replace(
        snapshot,
        hosts=hosts[:HOSTS],
        worker_list=workers,
        histories=_histories(snapshot),
        rows=no_rows(),
    )
    plain: dict[str, Any] = to_builtins(reduced)
    coming = {each.tag: wording.when(each) for each in snapshot.forecasts}
    for tag in plain["tags"]:
        tag["when"] = coming.get(tag["name"], "")
    for host in plain["hosts"]:
        host["slow"] = host["name"] in slow
    for shown, worker in zip(plain["worker_list"], workers, strict=True):
        shown["silent"] = wording.is_silent(worker, snapshot)
    del plain["forecasts"]
    plain |= {
        "label": label,
        "headline": wording.headline(label, snapshot),
        "rate": wording.rate(snapshot),
        "rows": bigpicture.shown(snapshot) | {"width": snapshot.histories.width},
        "more_hosts": max(0, len(hosts) - HOSTS),
    }
    return plain


def _workers(snapshot: Snapshot) -> list[Worker]:
    """Return those that are silent, or at one task for longest."""
    ranked = wording.slowest(snapshot)
    longest = sorted(ranked, key=lambda worker: wording.at_it(worker, snapshot), reverse=True)
    chosen = {each.id: each for each in (*ranked[:SLOWEST], *longest[: SLOWEST // 2])}
    return list(chosen.values())


def _histories(snapshot: Snapshot) -> Histories:
    kept = snapshot.histories
    ranked = sorted(snapshot.tags, key=lambda tag: tag.busy, reverse=True)
    names = [tag.name for tag in ranked if tag.name in kept.tags]
    tags = {name: _rounded([kept.tags[name]], kept.slots) for name in names[:TAGS]}
    if rest := [kept.tags[name] for name in names[TAGS:]]:
        tags[OTHERS] = _rounded(rest, kept.slots)
    return replace(kept, tags=tags)


def _rounded(parts: list[History], slots: int) -> History:
    """Return the sum of histories, in few digits."""
    columns = [
        _sums((getattr(part, name) for part in parts), slots, digits)
        for name, digits in (
            ("done", 0),
            ("failed", 0),
            ("busy", 1),
            ("waiting", 0),
            ("workers", 0),
        )
    ]
    return History(*columns)


def _sums(columns: Iterable[list[float]], slots: int, digits: int) -> list[float]:
    sums = map(sum, zip(*columns, strict=True))
    rounded: list[float] = [round(each, digits) if digits else int(each) for each in sums]
    return rounded[:slots]


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what has changed; `static/patch.js` does the reverse.

    Of a list with keys: the keys in their order, and the entries that are new or changed. Of
    histories and rows: what has come since, unless slots have become longer, or they are of others.
    """
    changes = {
        name: value
        for name, value in after.items()
        if name not in KEYED and name not in PARTS and before.get(name) != value
    }
    for name, key in KEYED.items():
        if before[name] != after[name]:
            known = {each[key]: each for each in before[name]}
            changes[name] = {
                "order": [each[key] for each in after[name]],
                "new": [each for each in after[name] if known.get(each[key]) != each],
            }
    for name, since in PARTS.items():
        if before[name] != after[name]:
            changes[name] = since(before[name], after[name])
    return changes


def _since(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    first = before["slots"]
    if before["width"] != after["width"] or before["tags"].keys() != after["tags"].keys():
        return after
    tags = {
        tag: {name: column[first:] for name, column in columns.items()}
        for tag, columns in after["tags"].items()
    }
    return {**after, "first": first, "tags": tags}


#: Of which a difference has what has come since.
PARTS: Final = {"histories": _since, "rows": bigpicture.difference}
