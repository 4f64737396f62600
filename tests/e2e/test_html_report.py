"""The report in a real browser, from a file, with no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from e2e.browser import browsers, missing
from masterworker.views import report
from unit.test_files_of_a_job import FOREIGN, job, known
from unit.test_html_report import large

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.browser import Browser

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there")


@pytest.fixture
def browser() -> Iterator[Browser]:
    yield from browsers()


def opened(browser: Browser, path: Path, width: int = 1200, scheme: str = "light") -> str:
    """What it shows; it has asked for nothing else, and nothing went wrong."""
    browser.wrong.clear()
    browser.asked.clear()
    page = browser.open(path.as_uri(), width, scheme)
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("#about")
    assert browser.wrong == []
    assert set(browser.asked) == {path.as_uri()}
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    text: str = page.inner_text("body")
    return text


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (360, "dark")])
def test_it_shows_the_job_and_asks_for_nothing(
    browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    found = known(job(), 130.0)
    path = tmp_path / "run.html"
    report.save(replace(found, saved=1e9, master="pid 1 on here (x)"), str(path))
    shown = opened(browser, path, width, scheme)
    for wanted in ("tasks done", "Who was busy when", "Failures", "What was lost and repeated"):
        assert wanted in shown
    for wanted in ("About this job", "pid 1 on here (x)", "pid 2 on tag0 (x)"):
        assert wanted in shown


def test_texts_are_texts(browser: Browser, tmp_path: Path) -> None:
    """Scripts, markup and codes in tags, hosts, labels and failures are shown."""
    path = tmp_path / "run.html"
    report.save(replace(known(job(FOREIGN, 3), 130.0), label=FOREIGN), str(path))
    shown = opened(browser, path)
    assert "<img onerror=x></script>" in shown
    assert "\\u202erow" in shown


def test_a_large_job(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    report.save(large(), str(path))
    assert path.stat().st_size < 1_000_000
    assert "10,000,000" in opened(browser, path)
