"""`task_manager show LABEL --live` below a shell, in the terminal of tmux."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import masterworker
from integration import work
from masterworker.machine import random_name
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux")


class Tmux:
    """A shell in a terminal of tmux."""

    def __init__(self, folder: Path, size: tuple[int, int] = (80, 24)) -> None:
        self._command = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        x, y = map(str, size)
        shell = "env PS1='ready> ' HISTFILE= bash --norc --noprofile -i"
        self.call("new-session", "-d", "-x", x, "-y", y, "-c", str(folder), shell)
        self.until(lambda text: "ready>" in text)

    def call(self, *words: str) -> str:
        done = subprocess.run(
            [*self._command, *words], capture_output=True, text=True, timeout=HANG, check=True
        )
        return done.stdout

    def keys(self, *keys: str) -> None:
        self.call("send-keys", *keys)

    def type(self, line: str) -> None:
        self.call("send-keys", "-l", line)
        self.keys("Enter")

    def screen(self) -> str:
        return self.call("capture-pane", "-p")

    def is_drawn_over(self) -> bool:
        """Whether a program has the screen for itself, or hides the cursor."""
        said = self.call("display-message", "-p", "#{alternate_on} #{cursor_flag}")
        return said.split() != ["0", "1"]

    def until(self, holds: Callable[[str], object]) -> str:
        seen = [""]

        def is_seen() -> bool:
            seen[0] = self.screen()
            return bool(holds(seen[0]))

        try:
            wait_until(is_seen, HANG)
        except AssertionError:
            pytest.fail(f"the screen stays like this:\n{seen[0]}")
        return seen[0]

    def close(self) -> None:
        subprocess.run([*self._command, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def tmux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tmux]:
    found = Tmux(tmp_path_factory.mktemp("t"))
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def job(tmp_path: Path) -> Iterator[masterworker.Master]:
    """One worker is at a task, and some have failed."""
    with masterworker.Master(f"seen-{random_name()[:8]}", workers=2) as master:
        futures = [master.submit(divmod, 7, n % 4) for n in range(40)]
        assert sum(future.exception(HANG) is None for future in futures) == 30
        held = master.submit(work.wait_for_file, str(tmp_path / "go"), 600.0)
        wait_until(held.running, HANG)
        yield master
        (tmp_path / "go").touch()


def live(label: str) -> str:
    return shlex.join([sys.executable, "-m", "masterworker.cli", "show", label, "--live"])


def test_keys_and_sizes(job: masterworker.Master, tmux: Tmux) -> None:
    """Sort, choose, explain, help; 80 by 24 and 200 by 50."""
    tmux.type(live(job.label))
    text = tmux.until(lambda text: "? all keys" in text)
    lines = text.splitlines()
    assert lines[0].startswith(f"{job.label}: 40 of 41 tasks done (97 %)")
    assert lines[23].startswith("q quit")
    tmux.call("resize-window", "-x", "200", "-y", "50")
    tmux.until(lambda text: text.splitlines()[-1].startswith("q quit") and text.count("\n") == 50)
    tmux.call("resize-window", "-x", "80", "-y", "24")
    tmux.until(lambda text: text.splitlines()[-1].startswith("q quit") and text.count("\n") == 24)
    tmux.keys("1")
    tmux.until(lambda text: re.search(r"^> (divmod|wait_for_file) ", text, re.MULTILINE))
    tmux.keys("s")
    tmux.until(lambda text: re.search(r"^> divmod .*\n  wait_for_file ", text, re.MULTILINE))
    tmux.keys("r")
    tmux.until(lambda text: re.search(r"^> wait_for_file .*\n  divmod ", text, re.MULTILINE))
    tmux.keys("3", "e")
    tmux.until(lambda text: re.search(r"^task wait_for_file_\d+$", text, re.MULTILINE))
    tmux.until(lambda text: "\n..." not in text and "pid " in text)
    tmux.keys("Escape")
    tmux.until(lambda text: "WORKER" in text)
    tmux.keys("4", "Enter")
    tmux.until(lambda text: "task divmod_" in text and "ZeroDivisionError" in text)
    tmux.keys("?")
    tmux.until(lambda text: "Ctrl-Z" in text)
    tmux.keys("q")
    text = tmux.until(lambda text: text.rstrip().endswith("ready>"))
    assert f"{job.label}: 40 of 41 tasks done" in text
    assert not tmux.is_drawn_over()


def test_stop_and_go_on(job: masterworker.Master, tmux: Tmux) -> None:
    """Ctrl-Z leaves a terminal that can be used; `fg` draws again; the end leaves it so as well."""
    tmux.type("stty -a > before")
    tmux.type(live(job.label))
    for _ in range(2):
        tmux.until(lambda text: "? all keys" in text)
        assert tmux.is_drawn_over()
        tmux.keys("C-z")
        tmux.until(lambda text: text.rstrip().endswith("ready>") and "Stopped" in text)
        assert not tmux.is_drawn_over()
        tmux.type("echo $((6 * 7)) is $(jobs | wc -l)")
        tmux.until(lambda text: "\n42 is 1" in text and text.rstrip().endswith("ready>"))
        tmux.type("clear; fg")
    tmux.until(lambda text: "? all keys" in text)
    tmux.keys("3")
    tmux.until(lambda text: "WORKER" in text and "TAG" not in text)
    tmux.keys("C-c")
    tmux.until(lambda text: text.rstrip().endswith("ready>"))
    assert not tmux.is_drawn_over()
    tmux.type("echo $? $(stty -a | diff - before && echo as it was)")
    tmux.until(lambda text: "\n130 as it was" in text)
