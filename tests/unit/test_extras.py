"""Packages that come with extras: what happens without them."""

from __future__ import annotations

import io
import sys

import pytest

from masterworker import Master
from masterworker.errors import UsageError
from masterworker.transport.hosts import addresses


def test_a_map_without_progress_bars(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning names the extra, lines take the place of the bar, and the results come."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with Master("any", serial=True) as master:
        assert list(master.map(abs, [-1, -2], progress=True)) == [1, 2]
    assert "pip install 'masterworker[progress]'" in caplog.text
    assert "abs: 2 of 2 tasks done (100 %), in " in stream.getvalue()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  this is about them
def test_listening_at_all_addresses(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """An error names the extra, and what can be done without it."""
    assert addresses([host])
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert addresses(["127.0.0.1"]) == ("127.0.0.1",)
    with pytest.raises(UsageError, match=r"pip install 'masterworker\[network\]', or name the"):
        addresses([host])
