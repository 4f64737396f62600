"""The report as one HTML file: whole, small, and nothing in it does anything but show it."""

from __future__ import annotations

import io
import json
import random
import re
import string
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from masterworker.core.scheduler import Scheduler
from masterworker.core.standing import stand
from masterworker.core.task import FAILURE
from masterworker.errors import InternalError
from masterworker.recorder import snapshot
from masterworker.recorder.spanned import Copied
from masterworker.views.bundle import bundled
from masterworker.views.html import MOST, coarser, write_html
from masterworker.views.known import Known
from unit.test_files_of_a_job import FOREIGN, job, known

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Snapshot


class Elements(HTMLParser):
    """Elements of a page, with what is in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self._is_open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside.append("")
        self._is_open = True

    def handle_endtag(self, tag: str) -> None:
        self._is_open = False

    def handle_data(self, data: str) -> None:
        if self._is_open:
            self.inside[-1] += data

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        pairs = zip(self.found, self.inside, strict=True)
        return [(attributes, inside) for (name, attributes), inside in pairs if name == tag]


def written(found: Known) -> str:
    out = io.BytesIO()
    write_html(found, out)
    return out.getvalue().decode()


def data_of(page: str) -> dict[str, Any]:
    (data,) = [
        inside
        for attributes, inside in Elements(page).all("script")
        if attributes.get("id") == "data"
    ]
    found: dict[str, Any] = json.loads(data)
    return found


@pytest.mark.parametrize("text", ["plain", FOREIGN])
def test_nothing_in_it_is_executed_but_our_own(text: str) -> None:
    """Two scripts, of which one is data; one style; both known by their digests; no address."""
    found = known(job(text), 130.0)
    page = written(replace(found, label=text))
    elements = Elements(page)
    (policy,) = [
        attributes["content"]
        for attributes, _ in elements.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    data, script = elements.all("script")
    (style,) = elements.all("style")
    for kind, inside in (("script", script[1]), ("style", style[1])):
        digest = b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert data[0] == {"type": "application/json", "id": "data"}
    assert script[0] == {}
    assert not any(name in {"img", "iframe", "object", "a", "form"} for name, _ in elements.found)
    for name, attributes in elements.found:
        assert not any(key.startswith("on") or key in {"src", "style"} for key in attributes)
        assert name != "link" or attributes == {"rel": "icon", "href": "data:,"}
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    view = json.loads(data[1])["view"]
    assert view["label"] == text
    assert view["done"] == found.snapshot.done
    assert [kind["text"] for kind in view["failures"]] == [
        kind.text for kind in found.snapshot.failures
    ]
    plain = "".join(inside for inside in elements.inside)
    assert "fetch(" not in plain
    assert "\x1b" not in page
    assert "\0" not in page


def large() -> Known:
    """10,000,000 tasks of 10,000 workers, with as much of everything as a record has."""
    workers, reports, tasks = 10_000, 40_000, 250
    dice = random.Random(1)
    core = Scheduler(explain=lambda *_: (noise(80), noise(200), noise(9000)))

    def noise(size: int) -> str:
        return "".join(dice.choices(string.ascii_letters + "<\u4e16", k=size))

    recorder = core.recorder
    recorder.at(0.0)
    tags = [f"tag {noise(60)} {n}" for n in range(80)]
    for n in range(workers):
        recorder.joined(n, f"pid {n} on {n % 500} host (x86_64)", 0.0)
    for n in range(reports):
        tag = tags[n * 31 % len(tags)]
        recorder.at(n * 1.5)
        recorder.of(tag).done += tasks
        core.tally.submitted = core.tally.results = (n + 1) * tasks
        recorder.spent(tag, n % workers, tasks, tasks * 10 ** dice.uniform(-5, 1), 1e9)
        if not n % 200:
            recorder.failed(tag, FAILURE, b"", n, f"pid {n} on {n % 500} host (x86_64)")
            recorder.event(dice.choice(("lost", "trouble", "joined")), noise(200))
    now = reports * 1.5
    whole = snapshot.whole(snapshot.take(recorder, stand(core, []), now), "i", 1e9)
    return Known("demo", whole, Copied(recorder).table(), 1e9 + now, "pid 1 on here (x)")


def test_a_large_job_is_in_it_from_beginning_to_end() -> None:
    """Under 1 MB, by coarser steps: the first and the last ones are there."""
    found = large()
    page = written(found)
    assert len(page.encode()) < MOST
    view = data_of(page)["view"]
    kept = view["histories"]
    assert kept["slots"] * kept["width"] == pytest.approx(found.snapshot.age, rel=0.02)
    settled = [sum(column["done"][n] for column in kept["tags"].values()) for n in (0, -1)]
    assert 0 < settled[0] < 0.02 * 10_000_000
    assert settled[1] > 0.98 * 10_000_000
    assert len(view["failures"]) > 90
    cells = [b64decode(row) for row in view["rows"]["cells"]]
    assert len(cells) == 250
    assert any(row[1] for row in cells)
    assert max(len(row) // 2 for row in cells) >= kept["slots"] - 1
    assert len(data_of(page)["workers"]) == 200
    assert data_of(page)["more_workers"] == 9_800


def test_a_small_job_is_in_it_with_all_there_is() -> None:
    found = known(job(), 130.0)
    view = data_of(written(found))["view"]
    assert view["histories"]["slots"] == found.snapshot.histories.slots
    assert view["failures"][0]["traceback"] == "tag"
    assert [event["order"] for event in view["events"]] == [
        event.order for event in found.snapshot.events
    ]


def test_coarser_steps_are_those_of_a_recorder_with_longer_ones() -> None:
    """Of histories each second end, of rows two cells together."""
    fine: Snapshot = known(job(), 130.0).snapshot
    coarse = coarser(fine)
    assert coarse.histories.width == 2 * fine.histories.width
    before, after = fine.histories.tags["tag0"], coarse.histories.tags["tag0"]
    assert after.done == before.done[1::2]
    assert coarse.rows.heads == fine.rows.heads
    assert len(coarse.rows.cells[0].cells) == -(-len(fine.rows.cells[0].cells) // 4) * 2


def test_modules_become_one_script() -> None:
    """Names of one do not meet those of another; each is there once, after what it needs."""
    modules = {
        "top": 'import { one } from "./left.js";\nimport {\n  two,\n} from "./right.js";\n',
        "left": 'import { two } from "./right.js";\nexport const one = two();\nconst mine = 1;',
        "right": "export function two() {}\nexport async function three() {}\nconst mine = 2;",
    }
    made = bundled("top", modules.__getitem__)
    assert made.count("const module_right =") == 1
    assert made.index("module_right =") < made.index("module_left =") < made.index("module_top =")
    assert "return { two, three };" in made
    assert not re.search(r"^(import|export)", made, re.MULTILINE)
    for wrong in ('import all from "./left.js";', "export default 1;", 'import "./left.js";'):
        with pytest.raises(InternalError, match="cannot be put into a report"):
            bundled("top", {**modules, "top": wrong}.__getitem__)
    with pytest.raises(InternalError, match="imports itself"):
        bundled("left", {**modules, "right": 'import { one } from "./left.js";'}.__getitem__)
