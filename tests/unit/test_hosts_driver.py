"""Workers through ssh, where ssh itself is strange: nothing waits without end, nothing is left."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, cast

import psutil
import pytest

from masterworker.errors import MasterNotFoundError
from masterworker.pools import Ssh, hosts_driver
from masterworker.pools.hosts_driver import HostsDriver
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masterworker.recorder.shapes import Snapshot

NOTHING = cast("Snapshot", None)


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], HostsDriver]:
    """Make a driver that has started an ssh of the test's own: lines of shell."""

    def made(script: str) -> HostsDriver:
        ssh = tmp_path / "ssh"
        began = tmp_path / "began"
        text = f"#!/bin/bash\n{script}\n: > {shlex.quote(str(began))}\nread -r _; read -r _\n"
        ssh.write_text(text)
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        driver = HostsDriver("x", Ssh("hostA*1"), lambda: ("127.0.0.1", 7), lambda *_: "ticket")
        driver.turn(NOTHING, 0)
        wait_until(began.exists, 60, "ssh has begun")
        return driver

    return made


def _ours() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "hostA" in each.cmdline()]


def test_an_ssh_that_opens_no_way_back_is_given_up(
    begin: Callable[[str], HostsDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = begin(":")
    (stuck,) = _ours()
    monkeypatch.setattr(hosts_driver, "TUNNEL", 0.0)
    driver.turn(NOTHING, 0)
    assert "no way back" in driver.kept().trouble
    wait_until(lambda: not stuck.is_running(), 60, "it has been ended")


def test_an_ssh_that_does_not_end_is_ended(
    begin: Callable[[str], HostsDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = begin("trap '' TERM; echo Allocated port 5 for remote forward to 127.0.0.1:7 >&2")
    (stuck,) = _ours()
    monkeypatch.setattr(hosts_driver, "LAST_STEPS", 0.2)
    driver.finish()
    wait_until(lambda: not stuck.is_running(), 60, "it has been ended")


def test_the_way_back_leads_to_where_the_master_is_now(
    begin: Callable[[str], HostsDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = begin(":")
    (before,) = _ours()
    driver.renew()
    assert before.is_running(), "it listens where it did"
    monkeypatch.setattr(driver, "_way", lambda: ("127.0.0.1", 8))
    driver.renew()
    driver.turn(NOTHING, 0)
    (after,) = _ours()
    assert after.pid != before.pid
    assert "127.0.0.1:0:127.0.0.1:8" in after.cmdline()
    monkeypatch.setattr(hosts_driver, "LAST_STEPS", 0.2)
    driver.finish()


def test_a_master_that_is_not_found_for_a_moment_ends_nothing() -> None:
    """As one with a journal, which is started again."""

    def way() -> tuple[str, int]:
        raise MasterNotFoundError("it is not there")

    driver = HostsDriver("x", Ssh("hostA*1"), way, lambda *_: "ticket")
    driver.turn(NOTHING, 0)
    assert not _ours()
    assert not driver.kept().paused
