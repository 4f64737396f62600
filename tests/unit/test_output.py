"""Lines from streams of bytes, with a bound; and a printer that never makes anybody wait."""

from __future__ import annotations

import io
import re
import sys
import threading

import pytest

from masterworker.launch.output import (
    BURST,
    KEPT_END,
    LINE,
    LONGEST_LINE,
    QUEUE,
    RATE,
    Lines,
    Printer,
)


def lines(*pieces: bytes) -> list[str]:
    """What comes of these pieces."""
    cutter = Lines(0.0)
    found = [line for piece in pieces for line in cutter.feed(piece, 0.0)]
    return found + list(cutter.end())


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"on", b"e\ntw", b"o"], ["one", "two"]),
        ([b"\n\n"], ["", ""]),
        ([b""], []),
        ([b"one\r\ntwo\r\n"], ["one", "two"]),
        ([b"one\r", b"\ntwo"], ["one", "two"]),
        ([b" 5 %\r", b"50 %\r99 %\r", b"done\n"], ["done"]),
        ([b"a\rb\n"], ["b"]),
        ([b"\xff\xfe\n"], ["\ufffd\ufffd"]),
        (["é".encode()[:1], "é".encode()[1:] + b"\n"], ["é"]),
        ([b"\x00\x07tab\t\x1b[31mred\n"], ["\ufffd\ufffdtab\t\x1b[31mred"]),
    ],
)
def test_lines(pieces: list[bytes], expected: list[str]) -> None:
    """However they are cut; a progress bar shows what it shows at the end of its line."""
    assert lines(*pieces) == expected


def test_a_long_line_is_cut() -> None:
    """Its beginning is shown, and how much is not."""
    [text] = lines(*[b"x" * 1000] * 100, b"\n")
    assert text == "x" * LONGEST_LINE + f" [... {100_000 - LONGEST_LINE:,} bytes left out]"
    assert lines(b"y" * 100_000 + b"\nshort\n")[1] == "short"


@pytest.mark.parametrize("piece", [b"x" * 65536, b"\n" * 65536, b"\x00\n" * 32768, b"\r" * 65536])
def test_a_flood_is_left_out(piece: bytes) -> None:
    """Beyond the bound nothing is kept; afterwards one line tells how much it was."""
    cutter = Lines(0.0)
    shown = sum(len(line) + LINE for _ in range(2000) for line in cutter.feed(piece, 0.0))
    assert shown <= BURST + LONGEST_LINE + LINE
    assert cutter.left_out > len(piece) * 1000
    told, *end = [*cutter.feed(b"\nearly\n", 0.5), *cutter.feed(b"again\n", 1.0)]
    assert re.fullmatch(r"\[... [\d,]+ lines \([\d,]+ bytes\) left out\]", told)
    assert end[-2:] == ["early", "again"]
    assert sum(len(line) + 1 for line in end) <= KEPT_END + len("\nearly\nagain\n") + 1


def test_lines_that_were_left_out_are_counted() -> None:
    """Those that are shown, and those that were left out, are all that there were."""
    cutter, number = Lines(0.0), 400_000
    data = b"".join(b"line %d\n" % i for i in range(number))
    found = [
        line for i in range(0, len(data), 65536) for line in cutter.feed(data[i : i + 65536], 0)
    ]
    found += cutter.end()
    shown = sum(line.startswith("line ") for line in found)
    [told] = [line for line in found if line.startswith("[")]
    left_out = int(told.split()[1].replace(",", ""))
    assert shown < number
    assert abs(shown + left_out - number) <= 1  # one that is cut in two is shown half
    assert found[-1] == f"line {number - 1}"


def test_after_a_flood_there_is_room_again() -> None:
    """So much in each second."""
    cutter = Lines(0.0)
    for _ in range(1000):
        list(cutter.feed(b"x" * 65536, 0.0))
    assert not list(cutter.feed(b"x" * RATE, 0.5))
    assert list(cutter.feed(b"ok\n", 2.0))[-1] == "ok"


def test_the_last_words_after_a_flood() -> None:
    """They tell why a worker has ended, so they are shown, whatever was left out before."""
    cutter = Lines(0.0)
    for _ in range(1000):
        list(cutter.feed(b"x" * 65536, 0.0))
    list(cutter.feed(b"\nTraceback\nError: why\n", 0.0))
    assert list(cutter.end())[1:] == ["Traceback", "Error: why"]


def test_a_flood_without_an_end_is_told_when_it_has_gone() -> None:
    """Or as the worker ends."""
    cutter = Lines(0.0)
    for _ in range(1000):
        list(cutter.feed(b"x" * 65536, 0.0))
    assert len(list(cutter.look(5.0))) == 1
    assert not list(cutter.look(5.0))
    for _ in range(1000):
        list(cutter.feed(b"x" * 65536, 5.0))
    left_out = cutter.left_out
    assert list(cutter.end()) == [f"[... 0 lines ({left_out:,} bytes) left out]"]
    assert left_out > 40_000_000


# -- the printer ----------------------------------------------------------------------------


def test_lines_go_where_they_belong(capsys: pytest.CaptureFixture[str]) -> None:
    """To what stdout and stderr are at the time."""
    printer = Printer()
    printer.put("one", error=False)
    printer.put("two", error=True)
    assert printer.flush(10.0)
    found = capsys.readouterr()
    assert (found.out, found.err) == ("one\n", "two\n")
    printer.put("three", error=False)
    printer.close(10.0)
    assert capsys.readouterr().out == "three\n"


class _Stuck(io.StringIO):
    """A terminal that takes nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may, self.began = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.began.set()
        assert self.may.wait(30)
        return super().write(text)


def test_a_stuck_terminal_makes_nobody_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no room is left out, and told when the terminal goes on."""
    stuck, errors = _Stuck(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", stuck)
    monkeypatch.setattr(sys, "stderr", errors)
    printer = Printer()
    printer.put("first", error=False)
    assert stuck.began.wait(10)
    for _ in range(3 * QUEUE // 1000):
        printer.put("x" * 1000, error=False)
    assert not printer.flush(0.05)
    stuck.may.set()
    assert printer.flush(10.0)
    written = stuck.getvalue()
    printer.close(10.0)
    assert written.startswith("first\n")
    assert len(written) < QUEUE * 1.01
    assert "lines of workers left out" in errors.getvalue()


def test_streams_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """None, closed, or of another encoding: nothing is raised, and nobody waits."""
    closed = io.StringIO()
    closed.close()
    narrow = io.TextIOWrapper(io.BytesIO(), "ascii")
    for stream in (None, closed, narrow):
        monkeypatch.setattr(sys, "stdout", stream)
        printer = Printer()
        printer.put("ä", error=False)
        assert printer.flush(10.0)
        printer.close(10.0)
    narrow.seek(0)
    assert narrow.read() == "\\xe4\n"
