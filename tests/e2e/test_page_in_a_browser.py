"""The page as a real browser shows it, in each of its states."""

from __future__ import annotations

import os
import re
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.browser import Browser, browsers, missing
from e2e.desk import until
from e2e.page_states import FOREIGN
from e2e.viewing import JOB, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.desk import Desk

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

#: A folder in which pictures are kept, to be looked at.
PICTURES = os.environ.get("MASTERWORKER_PICTURES")
TESTS = Path(__file__).parents[1]
AXE: Any = find_spec("axe_playwright_python")
#: What is seen in each state.
SEEN = {
    "no_workers": ("No workers yet", "task_manager worker sweep -n auto"),
    "waiting": ("The workers wait", "No task has been asked for"),
    "running": ("tasks done", "task_manager replay sweep", "! slow: "),
    "piling": ("Trouble", "results of 2,100 MB wait"),
    "silent": ("The master does not answer", "as of "),
    "ended": ("sweep is over", "The job is over"),
    "gone": ("The master is gone: this is how the job stood last", "as of "),
}


@pytest.fixture
def browser() -> Iterator[Browser]:
    yield from browsers()


def made_up(desk: Desk, state: str, workers: int) -> str:
    """Serve a page of a made-up job. Returns its address."""
    return desk.start("-m", "e2e.page_states", state, str(workers), folder=TESTS).first_line()


def shown(browser: Browser, address: str, width: int = 1200, scheme: str = "light") -> Any:
    """A page that has drawn something."""
    page = browser.open(address, width, scheme)
    page.wait_for_selector("h1.headline")
    return page


def keep(page: Any, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def all_is_well(browser: Browser, address: str) -> None:
    """Nothing was said in a console, and nothing was asked for elsewhere or with the token."""
    assert browser.wrong == []
    root, _, token = address.partition("#")
    assert {url for url in browser.asked if not url.startswith(root)} == set()
    assert [url for url in browser.asked if token in url.partition("#")[0]] == []


@pytest.mark.parametrize("state", ["gone", "silent", "no_workers"])
def test_workers_are_asked_for_only_where_they_could_join(
    desk: Desk, browser: Browser, state: str
) -> None:
    address = made_up(desk, state, 0)
    text = shown(browser, address).inner_text("body")
    assert "0 workers" in text
    assert ("task_manager worker sweep" in text) is (state == "no_workers")
    all_is_well(browser, address)


@pytest.mark.parametrize("state", SEEN)
def test_each_state(desk: Desk, browser: Browser, state: str) -> None:
    """In light and dark, on a wide and a narrow window, which nothing is wider than."""
    address = made_up(desk, state, 12)
    for width in (1200, 360):
        for scheme in ("light", "dark"):
            page = shown(browser, address, width, scheme)
            text = page.inner_text("body")
            assert all(part in text or part in page.inner_html("body") for part in SEEN[state])
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            keep(page, f"{state}-{width}-{scheme}")
    all_is_well(browser, address)


@pytest.mark.skipif(not AXE, reason="no axe: pip install axe-playwright-python")
@pytest.mark.parametrize("state", ["no_workers", "running", "gone", "foreign"])
def test_who_cannot_see_well(desk: Desk, browser: Browser, state: str) -> None:
    """The rules of axe find nothing that is serious: contrast, names, order, keyboard."""
    assert AXE is not None
    (script,) = Path(str(AXE.submodule_search_locations[0])).glob("axe.min.js")
    address = made_up(desk, state, 12)
    for width, scheme in ((1200, "light"), (1200, "dark"), (360, "light")):
        page = shown(browser, address, width, scheme)
        page.evaluate(script.read_text())
        found = page.evaluate("axe.run()")["violations"]
        told = [(each["id"], each["nodes"][0]["html"]) for each in found]
        assert not [each for each in found if each["impact"] in {"serious", "critical"}], told


@pytest.mark.parametrize("workers", [1, 200, 10_000])
def test_any_number_of_workers(desk: Desk, browser: Browser, workers: int) -> None:
    """It is brought up to date, and what it has drawn is what there is."""
    address = made_up(desk, "running", workers)
    page = shown(browser, address)
    before = page.inner_text("h1")
    page.wait_for_function(
        "before => document.querySelector('h1').innerText !== before", arg=before
    )
    rows = page.inner_text("#rows h2")
    assert ("rows of hosts" if workers > 512 else f"{workers} rows of workers") in rows
    painted = """() => {
      const canvas = document.getElementById("big-picture");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.some((value) => value);
    }"""
    assert page.evaluate(painted)
    assert page.locator("#workers tbody tr").count() <= 20
    keep(page, f"workers-{workers}")
    all_is_well(browser, address)


COMPARING = """async (token) => {
  const { bytesOf, patched } = await import(new URL("patch.js", location));
  const headers = { "X-Masterworker-Token": token };
  const get = async (base) => (await fetch(`snapshot?from=${base}`, { headers })).json();
  const plain = (view) => {
    const cells = view.rows.cells.map((each) => [...bytesOf(each)]);
    const sorted = (_, value) => value && typeof value === "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
    return JSON.stringify({ ...view, rows: { ...view.rows, cells } }, sorted);
  };
  let have = await get(0);
  for (let same = 0; same < 4; ) {
    await new Promise((done) => setTimeout(done, 500));
    const { base, number, changes } = await get(have.number);
    const whole = await get(0);
    if (!base || number === have.number || number !== whole.number) continue;
    const made = patched(have.changes, changes);
    if (plain(made) !== plain(whole.changes)) return "other";
    have = { number, changes: made };
    same += 1;
  }
  return "same";
}"""


def test_differences_make_the_whole(desk: Desk, browser: Browser) -> None:
    """What the page makes of what has changed is what there is."""
    address = made_up(desk, "running", 60)
    page = shown(browser, address)
    assert page.evaluate(COMPARING, address.partition("#")[2]) == "same"


def test_texts_of_workers_are_texts(desk: Desk, browser: Browser) -> None:
    """Whatever they say, no script runs, and what cannot be seen is shown as what it is."""
    address = made_up(desk, "foreign", 12)
    for width in (1200, 360):
        page = shown(browser, address, width)
        page.wait_for_selector("#failures details")
        page.evaluate(
            "document.querySelectorAll('details').forEach((each) => { each.open = true })"
        )
        assert page.locator("img, main script, iframe, object").count() == 0
        text = page.inner_text("main")
        assert "<img src=x onerror=" in text
        assert "\\u001b[31m\\u202erow\\u0000" in text
        assert not set(text) & set("\x1b\u202e\0")
        assert page.title() not in {"1", "2"}
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        keep(page, f"foreign-{width}")
    assert FOREIGN[:30] in page.title()
    all_is_well(browser, address)


def test_keys(desk: Desk, browser: Browser) -> None:
    """All is reached with the keyboard; what is updated keeps the focus, and stays open."""
    page = shown(browser, made_up(desk, "running", 12))
    page.focus("#big-picture")
    said = page.inner_text("#cell")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#cell") != said
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Latest tasks of")
    assert "<img src=x" in page.inner_text("#rows")
    page.focus("#failures summary >> nth=0")
    page.keyboard.press("Enter")
    before = page.inner_text("h1")
    page.wait_for_function(
        "before => document.querySelector('h1').innerText !== before", arg=before
    )
    assert page.evaluate("document.activeElement.localName") == "summary"
    assert page.locator("#failures details[open] pre").count() == 1
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.localName"))
    assert {"button", "summary"} <= reached


def test_the_address_tells_the_token_once(desk: Desk, browser: Browser) -> None:
    """It is taken from the address, and is there after a reload; without it nothing is told."""
    address = made_up(desk, "running", 3)
    page = shown(browser, address)
    token = address.partition("#")[2]
    assert token not in page.url
    page.reload()
    page.wait_for_function("document.querySelector('h1').innerText.startsWith('sweep')")
    assert token not in page.content()
    all_is_well(browser, address)
    for wrong in ("", "#wrong"):
        page = shown(browser, address.partition("#")[0] + wrong)
        page.wait_for_selector("text=Refused")
        assert "sweep" not in page.inner_text("body")
        keep(page, "refused")


def test_another_page_gets_nothing(desk: Desk, browser: Browser) -> None:
    """One of another port of this machine, as an attacker's would be."""
    address = made_up(desk, "running", 3)
    root = address.partition("#")[0]
    elsewhere = shown(browser, made_up(desk, "waiting", 1))
    asking = """async ([root, token]) => {
      try {
        const headers = { "X-Masterworker-Token": token };
        const reply = await fetch(root + "snapshot?from=0", { headers });
        return await reply.text();
      } catch { return "refused"; }
    }"""
    # its own policy, under which nothing is fetched from elsewhere, is not what protects
    blank = browser.open("data:text/html,attacker")
    for page in (blank, elsewhere):
        for token in ("", address.partition("#")[2]):
            assert page.evaluate(asking, [root, token]) == "refused"
    framed = browser.open("data:text/html,<iframe src='" + root + "'></iframe>")
    framed.wait_for_timeout(1000)
    assert not [frame for frame in framed.frames[1:] if frame.locator("h1.headline").count()]


def test_a_master_that_is_killed_and_comes_back(desk: Desk, browser: Browser) -> None:
    """While the page is open: the last picture and since when, then the new run."""
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    served = page_of(desk)
    page = shown(browser, served.address)
    page.wait_for_selector("text=40 of 40 tasks done")
    desk._running[0].kill()
    page.wait_for_selector("text=The master is gone: this is how the job stood last")
    assert "40 of 40 tasks done" in page.inner_text("h1")
    assert page.title().startswith("✗")
    desk.start(desk.folder / "job.py")
    page.wait_for_selector("text=The master is gone", state="detached")
    desk.write("end", "")
    page.wait_for_selector("text=The job is over")
    assert "is over" in page.inner_text("h1")
    assert browser.wrong == []
    served.served.signal(signal.SIGTERM)
    served.served.status()
    page.wait_for_selector("text=No connection")
    assert re.search("as of .*[0-9]", page.inner_text(".state"))
    until(lambda: browser.wrong, "the browser has said that it cannot connect")
