"""The page without a browser: what it is sent, how much, and which requests are answered."""

from __future__ import annotations

import gzip
import json
import re
import time
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from e2e.page_states import Job
from masterworker.views.web import watcher as watcher_module
from masterworker.views.web.app import STATIC, static
from masterworker.views.web.digest import KEYED, digest
from masterworker.views.web.feed import RATE, Feed
from masterworker.views.web.guard import HEADERS, LOOPBACK, Refused, judge
from masterworker.views.web.watcher import Seen, Watcher
from support import wait_until

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Snapshot

GOOD = {"host": "127.0.0.1:7000"}


class Looked(Watcher):
    """What a feed is made from, without a thread."""

    def __init__(self, found: Snapshot) -> None:
        self.label, self.found, self.state = "demo", found, "live"

    def seen(self, *, viewer: bool = True) -> Seen:
        return Seen(self.found, self.state, "", 1e9)


def patched(before: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """What `patch.js` does."""
    after = {**before, **changes}
    for name in changes.keys() & KEYED.keys():
        known = {each[KEYED[name]]: each for each in [*before[name], *changes[name]["new"]]}
        after[name] = [known[key] for key in changes[name]["order"]]
    histories = changes.get("histories", {})
    if first := histories.get("first"):
        tags = {
            tag: {
                name: before["histories"]["tags"][tag][name][:first] + column
                for name, column in columns.items()
            }
            for tag, columns in histories["tags"].items()
        }
        after["histories"] = {**histories, "first": 0, "tags": tags}
    if "rows" in changes:
        after["rows"] = patched_rows(before["rows"], changes["rows"])
    return after


def patched_rows(before: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    if "row" not in changes:
        return changes
    heads = changes.get("heads", before["heads"])
    cells = [*before["cells"], *[""] * (len(heads) - len(before["cells"]))]
    for row, first, more in zip(changes["row"], changes["first"], changes["cells"], strict=True):
        whole = b64decode(cells[row])[: 2 * first] + b64decode(more)
        cells[row] = b64encode(whole).decode()
    kept = {name: value for name, value in changes.items() if name not in {"row", "first"}}
    return {**before, **kept, "heads": heads, "cells": cells}


def plain(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(body))
    return found


def test_differences_make_the_whole() -> None:
    """Also when slots have become longer, workers have come and gone, and other tags are busy."""
    job = Job(40, tuple(f"tag{n}" for n in range(12)))
    job.ask(500)
    watcher = Looked(job.snapshot())
    feed = Feed(watcher)
    shown = plain(feed.reply(0))
    for n in range(40):
        job.go_on(job.now + (1.0 if n % 9 else 90.0))
        if n in {5, 30}:
            job.lose(n)
        watcher.found = job.snapshot()
        reply = plain(feed.reply(shown["number"]))
        assert reply["base"] == shown["number"]
        made = patched(shown["changes"], reply["changes"])
        shown = plain(feed.reply(0))
        assert made == shown["changes"]


def test_silent_workers_come_first_and_are_marked() -> None:
    """By the rule that the terminal has: nothing was heard of them for 11 s."""
    whole = replace(Job(60).snapshot(), age=100.0)
    heard = [replace(each, heard=100.0 - each.id % 20) for each in whole.worker_list]
    whole = replace(whole, worker_list=heard)
    told = digest("demo", whole)["worker_list"]
    silent = {each.id for each in heard if each.id % 20 > 11}
    assert {each["id"] for each in told if each["silent"]} == silent
    assert {each["id"] for each in told[: len(silent)]} == silent
    assert not any(
        each["silent"] for each in digest("demo", replace(whole, ended=True))["worker_list"]
    )


def test_a_page_that_has_an_old_digest_is_sent_all() -> None:
    job = Job(3)
    watcher = Looked(job.snapshot())
    feed = Feed(watcher)
    first = plain(feed.reply(0))
    assert (first["base"], first["number"]) == (0, 1)
    for _ in range(20):
        watcher.found = job.snapshot()
        latest = plain(feed.reply(first["number"]))
    assert latest["base"] == 0
    assert plain(feed.reply(10**9))["base"] == 0
    before = latest["number"]
    watcher.found = job.snapshot()
    assert plain(feed.reply(before))["base"] == before


@pytest.mark.parametrize("workers", [1, 200, 10_000])
def test_how_much_a_page_is_sent(workers: int) -> None:
    """30 kB a second, after the first picture, whatever the numbers of workers and tags."""
    job = Job(workers, tuple(f"tag{n}" for n in range(64)))
    job.ask(max(10, workers // 16))
    job.go_on(20.0)
    watcher = Looked(job.snapshot())
    feed = Feed(watcher)
    number = plain(feed.reply(0))["number"]
    sent = seconds = 0.0
    for _ in range(6):
        job.go_on(job.now + 1.0)
        watcher.found = job.snapshot()
        reply = feed.reply(number)
        found = plain(reply)
        assert found["base"] == number
        number = found["number"]
        sent, seconds = sent + len(reply), seconds + found["pause"]
    assert sent <= RATE * seconds + 1000
    assert seconds <= 12.0


def test_what_is_no_number_is_nothing() -> None:
    """JSON has no infinity."""
    found = Job(2).snapshot()
    odd = replace(found.worker_list[0], busy=float("inf"), cpu=float("nan"))
    watcher = Looked(replace(found, worker_list=[odd], note="Infinity"))
    shown = plain(Feed(watcher).reply(0))["changes"]
    assert shown["worker_list"][0]["busy"] is None
    assert shown["note"] == "Infinity"


def test_a_job_that_is_gone_says_nothing_of_its_end() -> None:
    job = Job(4)
    job.ask(100)
    job.go_on(60.0)
    found = job.snapshot()
    assert "more" in digest("demo", found)["headline"]
    over = digest("demo", found, is_over=True)
    assert "more" not in over["headline"]
    assert {tag["when"] for tag in over["tags"]} == {""}


class Counted:
    """A master that counts how often it is looked at."""

    def __init__(self, found: Snapshot) -> None:
        self.found, self.looks = found, 0

    def look(self, _: object) -> Snapshot:
        self.looks += 1
        return self.found

    def spans(self, _: int) -> list[Any]:
        return []


def test_viewers_cost_the_master_nothing() -> None:
    """However many there are, it is looked at by one, now and again."""
    job = Job(3)
    master: Any = Counted(job.snapshot())
    watcher = Watcher("demo", master, pause=0.05)
    try:
        feed = Feed(watcher)
        for _ in range(1000):
            feed.reply(0)
        until = master.looks + 3
        wait_until(lambda: master.looks >= until, 60.0, "it is looked at")
        begun = time.monotonic()
        before = master.looks
        while time.monotonic() - begun < 0.5:
            feed.reply(1)
        assert master.looks - before <= 0.5 / 0.05 + 2
    finally:
        watcher.close()


def test_spans_are_asked_for_now_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """To tell them, a master copies many: not for each click."""
    monkeypatch.setattr(watcher_module, "SPANS", 1e9)
    master: Any = Counted(Job(3).snapshot())
    watcher = Watcher("demo", master, pause=60.0)
    try:
        assert [watcher.spans(1) for _ in range(3)] == [[], None, None]
    finally:
        watcher.close()


# -- requests -----------------------------------------------------------------------------------


def asked(headers: dict[str, str], method: str = "GET", target: str = "/snapshot?from=0") -> int:
    """The status with which a request is refused; 0: it is not."""
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    try:
        judge(method, target, pairs, LOOPBACK | {"node.example.org"})
    except Refused as refused:
        return refused.status
    return 0


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:7000", "localhost", "LOCALHOST:80", "[::1]:8", "[::1]", "node.example.org:443"],
)
def test_names_of_the_page(host: str) -> None:
    assert asked({"host": host}) == 0


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "evil.example:7000", "127.0.0.1.evil.example", "127.0.0.1:7000.evil"),
        *("localhost.", "0.0.0.0", "127.1", "user@127.0.0.1", "127.0.0.1:", "[::1", ":80", "::1"),  # noqa: S104
    ],
)
def test_names_that_are_not_of_the_page(host: str) -> None:
    """An attacker's name that leads to this machine is none of them."""
    assert asked({"host": host}) == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "get"])
def test_only_get(method: str) -> None:
    assert asked(GOOD, method) == 405


def test_requests_of_other_pages() -> None:
    """By what the browser says of them; a link that is followed shows the page, and no more."""
    for site in ("cross-site", "same-site", "anything"):
        assert asked(GOOD | {"sec-fetch-site": site}) == 403
        frame = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
        assert asked(GOOD | {"sec-fetch-site": site} | frame) == 403
        link = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        assert asked(GOOD | {"sec-fetch-site": site} | link) == 0
    for origin in ("null", "http://evil.example", "http://127.0.0.1:7001", "http://localhost:7000"):
        assert asked(GOOD | {"origin": origin}) == 403
    assert asked(GOOD | {"origin": "http://127.0.0.1:7000", "sec-fetch-site": "same-origin"}) == 0


def test_requests_that_are_too_much() -> None:
    assert asked(GOOD, target="/" + "x" * 3000) == 414
    assert asked(GOOD | {"content-length": "7"}) == 413
    assert asked(GOOD | {"transfer-encoding": "chunked"}) == 413
    with pytest.raises(Refused, match="two headers host"):
        judge("GET", "/", [(b"host", b"localhost"), (b"host", b"evil.example")], LOOPBACK)


# -- files --------------------------------------------------------------------------------------


def test_the_files_of_the_page() -> None:
    """All that there are are known, load nothing from elsewhere, and need no inline code."""
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    for name in STATIC:
        text = static(name).decode()
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text), name
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)
        for source in re.findall(r"(?:\bfrom |src=|href=)\"([^\"]+)\"", text):
            assert source.removeprefix("./") in STATIC
    page = static("page.html").decode()
    assert not re.findall(r"<style|style=|\son\w+=|<script(?![^>]*src=)", page)


def test_modules_can_be_put_into_one() -> None:
    """No two of them have the same name on top, and all they import is named: so a report can."""
    names: list[str] = []
    for name in STATIC:
        if name.endswith(".js"):
            text = static(name).decode()
            names += re.findall(
                r"^(?:export )?(?:async )?(?:function|const|let) (\w+)", text, re.MULTILINE
            )
            assert not re.findall(r"import \*|export default|export \{|^import .* as ", text)
    assert len(names) == len(set(names))
