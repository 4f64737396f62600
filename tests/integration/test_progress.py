"""`map(..., progress=True)`: in a log, on a terminal, in a notebook; and how masters are shown."""

from __future__ import annotations

import io
import json
import operator
import os
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest

from integration import work
from masterworker import Master
from masterworker.views.progress import displays, following
from support import HANG, python_script, wait_until
from terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path


def first_waits(number: int, path: str) -> int:
    """The first task waits; one fails."""
    if number == 0:
        work.wait_for_file(path)
    if number == 7:
        raise ValueError(number)
    return number


def shown_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "masterworker-progress"]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log has a line for each look."""
    monkeypatch.setattr(displays, "FIRST_LINE", 0.0)


def test_what_is_settled_is_counted(
    two_workers: Master, tmp_path: Path, capsys: pytest.CaptureFixture[str], often: None
) -> None:
    """Also while the first result is waited for, and before any was asked for."""
    gate = tmp_path / "go"
    results = two_workers.map(
        first_waits, range(10), [str(gate)] * 10, progress=True, return_errors=True
    )
    said: list[str] = []

    def is_said() -> bool:
        said.append(capsys.readouterr().err)
        return "9 of 10 tasks done (90 %), 2 workers, 1 failed" in "".join(said)

    try:
        wait_until(is_said, HANG)
    finally:
        gate.touch()
    assert [each for each in results if isinstance(each, int)] == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    said.append(capsys.readouterr().err)
    *_, last = "".join(said).splitlines()
    assert last.startswith("first_waits: 10 of 10 tasks done (100 %), 1 failed, in ")
    assert "\r" not in "".join(said)
    assert not shown_threads()


def test_a_log_has_one_line_of_what_is_quick(
    two_workers: Master, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a loop of many, only that of the outer one."""
    for _ in two_workers.map(operator.neg, range(3), progress=True):
        assert sum(two_workers.map(operator.neg, iter([1, 2]), progress=True)) == -3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("neg: 3 of 3 tasks done (100 %), in ")


@pytest.mark.parametrize("how", ["raises", "break", "dropped", "closed", "untouched"])
def test_it_ends_with_the_loop(
    two_workers: Master, capsys: pytest.CaptureFixture[str], how: str, tmp_path: Path
) -> None:
    """As dask#1791, where a bar went on after an error."""
    gate = tmp_path / "go"
    numbers = [7, *range(9)] if how == "raises" else range(8)
    results = two_workers.map(
        first_waits, numbers, [str(gate)] * 10, progress=True, ordered=how == "raises"
    )
    if how == "raises":
        with pytest.raises(ValueError, match="7"):
            next(results)
    elif how == "break":
        for _ in results:
            break
        del results
    elif how == "closed":
        next(results)
        results.close()
    elif how == "dropped":
        next(results)
        del results
    else:
        del results
    assert not shown_threads()
    gate.touch()
    said = capsys.readouterr().err
    (line,) = [each for each in said.splitlines() if "stopped after" in each]
    assert " tasks done " in line, said


def test_a_stream_that_is_closed(two_workers: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    """As dask#568, where a thread raised; results come all the same."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    results = two_workers.map(operator.neg, range(3), progress=True)
    stream.close()
    assert list(results) == [0, -1, -2]
    monkeypatch.setattr(sys, "stderr", None)
    assert list(two_workers.map(operator.neg, [1], progress=True)) == [-1]
    assert not following._loops


@pytest.mark.parametrize("said", ["1", "true"])
def test_progress_can_be_switched_off(
    two_workers: Master,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    said: str,
) -> None:
    """By the variable that tqdm has for it."""
    monkeypatch.setenv("TQDM_DISABLE", said)
    assert list(two_workers.map(operator.neg, [1], progress=True)) == [-1]
    assert capsys.readouterr().err == ""


def test_results_that_come_together_and_alone(
    warm: Master, capsys: pytest.CaptureFixture[str]
) -> None:
    """Chunks, single results and failures add up, however many there are."""
    items: list[Any] = [*range(4000), *(["x"] * 5), *range(4000)]
    found = list(warm.map(operator.neg, items, progress=True, return_errors=True))
    assert sum(isinstance(each, TypeError) for each in found) == 5
    assert "neg: 8,005 of 8,005 tasks done (100 %), 5 failed, in " in capsys.readouterr().err


# -- a terminal -----------------------------------------------------------------------------

ON_A_TERMINAL = """
import sys, time
from masterworker import Master

def wait(n):
    time.sleep(0.05)
    return n

if __name__ == "__main__":
    with Master(workers=2) as master:
        for n in master.map(wait, range(9), progress=True):
            for _ in master.map(wait, range(2), progress=True):
                pass
        try:
            for n in master.map(time.sleep, [0, 0, 0, 600], progress=True):
                pass
        except KeyboardInterrupt:
            print("broken off", flush=True)
        for n in master.map(wait, iter(range(9)), progress=True):
            pass
        print("end", flush=True)
"""


def test_bars_on_a_terminal(tmp_path: Path) -> None:
    """One line for each, also after Ctrl-C: jupyter/notebook#2214; none for those inside."""
    program = python_script(tmp_path, "bars.py", ON_A_TERMINAL)
    terminal = Terminal(sys.executable, str(program), size=(100, 24))
    try:
        terminal.until(lambda text: "3/4" in text)
        os.write(terminal.master, b"\x03")
        terminal.until(lambda text: "broken off" in text)
        assert terminal.ends() == 0
        lines = [line.rstrip() for line in terminal.screen.display]
    finally:
        terminal.close()
    bars = [line for line in lines if "task/s" in line or "s/task" in line]
    assert len(bars) == 3, lines
    for bar, (name, number) in zip(
        bars, (("wait: 100%", "9/9"), ("sleep:  75%", "3/4"), ("wait: 100%", "9/9")), strict=True
    ):
        assert bar.startswith(name), lines
        assert f"| {number} [" in bar


def test_a_dumb_terminal_has_lines(tmp_path: Path) -> None:
    program = python_script(
        tmp_path,
        "lines.py",
        "from masterworker import Master\n"
        "with Master(serial=True) as master:\n"
        "    list(master.map(abs, [1, 2], progress=True))\n",
    )
    terminal = Terminal("env", "TERM=dumb", sys.executable, str(program))
    try:
        assert terminal.ends() == 0
    finally:
        terminal.close()
    assert b"abs: 2 of 2 tasks done (100 %), in " in terminal.output
    assert b"\r\x1b" not in terminal.output
    assert b"|" not in terminal.output


# -- a notebook -----------------------------------------------------------------------------

CELLS = [
    """
    import time
    from masterworker import Master
    def wait(n):
        time.sleep(0.02)
        if n == 5: raise ValueError("<img src=x onerror=alert(1)>")
        return n
    master = Master("<b>nb</b>", workers=2)
    """,
    """
    for n in master.map(wait, range(9), progress=True, return_errors=True):
        for _ in master.map(wait, range(3), progress=True): pass
    """,
    "for n in master.map(wait, [1, 5, 2], progress=True): pass",
    "master",
    "future = master.submit(wait, 1); future.result(); future",
    "master.status().snapshot.done",
    "master.shutdown()",
]
RUN = """
import json, sys
import nbclient, nbformat
cells = [nbformat.v4.new_code_cell(source) for source in json.load(sys.stdin)]
book = nbformat.v4.new_notebook(cells=cells)
nbclient.NotebookClient(book, timeout=60, kernel_name="python3", allow_errors=True).execute()
print(nbformat.writes(book))
"""


def test_a_notebook_without_widgets(tmp_path: Path) -> None:
    """What was shown is in the saved file, as it was at the end: see tqdm#1120."""
    for module in ("nbclient", "ipykernel"):
        pytest.importorskip(module)
    cells = [textwrap.dedent(cell) for cell in CELLS]
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        timeout=4 * HANG,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    book = json.loads(done.stdout)
    outputs = [[o for o in cell["outputs"] if o.get("name") != "stderr"] for cell in book["cells"]]
    _, nested, broken, master, future, snapshot, summary = outputs
    outer, inner = nested  # one for all inner loops, which is empty
    assert "wait: 9 of 9 tasks done (100 %), 1 failed, in " in text_of(outer, "text/plain")
    assert '<progress value="9" max="9"' in text_of(outer, "text/html")
    assert text_of(inner, "text/html") == ""
    shown, error = broken
    assert "of 3 tasks done" in text_of(shown, "text/html")
    assert "1 failed, stopped after" in text_of(shown, "text/html")
    assert error["ename"] == "ValueError"
    html = text_of(master[0], "text/html")
    assert "&lt;b&gt;nb&lt;/b&gt;: " in html
    assert "ValueError: &lt;img src=x onerror=alert(1)&gt;" in html
    assert "<img" not in html
    assert "<b>" not in html
    assert "<script" not in html
    assert "2 workers" in text_of(master[0], "text/plain")
    assert "<td" in text_of(future[0], "text/html")
    assert "returned int" in text_of(future[0], "text/html")
    assert int(text_of(snapshot[0], "text/plain")) >= 36
    assert "done" in text_of(summary[0], "text/html")


def text_of(output: dict[str, Any], kind: str) -> str:
    return "".join(output["data"][kind])


# -- how things are shown -------------------------------------------------------------------


def test_a_master_says_how_it_stands(tmp_path: Path) -> None:
    with Master("stands", workers=1) as master:
        assert len(list(master.map(operator.neg, [1, "x"], return_errors=True))) == 2
        shown = repr(master)
        assert shown.startswith("<Master 'stands' at ")
        assert shown.endswith(": 1 worker, 2 of 2 tasks done, 1 failed>")
        status = master.status()
        assert (status.done, status.failed, status.waiting) == (1, 1, {})
        assert (status.snapshot.done, status.snapshot.failed, status.snapshot.asked) == (1, 1, 2)
        assert status.snapshot is status.snapshot
        assert "stands: 2 of 2 tasks done (100 %), 1 failed, 1 worker" in master._repr_html_()
        left = master.submit(work.wait_for_file, str(tmp_path / "never"))
        assert ">pending<" in left._repr_html_()
        assert ": 1 worker, 2 of 3 tasks done, 1 failed>" in repr(master)
        left.cancel()
        summary = master.shutdown()
    assert ": over, 3 of 3 tasks done, 1 failed>" in repr(master)
    assert summary._repr_html_() == f"<div>{summary}</div>"
    assert "stands is over" in master._repr_html_()
    assert ">cancelled<" in left._repr_html_()


def test_nothing_of_it_is_loaded_unless_asked_for() -> None:
    """No tqdm, no IPython, and none of our views."""
    program = (
        "import sys, masterworker\n"
        "with masterworker.Master(serial=True) as master:\n"
        "    assert list(master.map(abs, [-1])) == [1]; repr(master); master.status()\n"
        "print([m for m in sys.modules if m.startswith(('tqdm', 'IPython', 'masterworker.views'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG, check=True
    )
    assert done.stdout.strip() == "[]"
