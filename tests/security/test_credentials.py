"""The user's keys: made at first use, kept, renewed in time, shown to nobody."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import os
import pickle
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import cloudpickle
import pytest

from masterworker.errors import CredentialError
from masterworker.security import certificates, credentials, pem, tls
from masterworker.security.credentials import FOLDER_VARIABLE, Credential, user_credential
from masterworker.security.peer import OWNER, Peer, Role
from masterworker.security.private import write_private
from security.handshakes import shake
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = 86400.0
TEN_YEARS = 3652 * DAY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for keys where there is nothing yet."""
    folder = tmp_path / "keys"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return folder


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the clock, in seconds from now."""
    start = time.time()

    def set_clock(offset: float) -> None:
        monkeypatch.setattr(credentials, "clock", lambda: start + offset)

    set_clock(0)
    return set_clock


def works(server: Credential, client: Credential) -> bool:
    seen, _ = shake(tls.server_context(server), tls.client_context(client))
    return seen.peer is not None and seen.peer[:3] == (client.role, client.job, "there")


def test_made_at_first_use_and_private(folder: Path) -> None:
    made = user_credential(Role.MASTER)
    assert (made.role, made.job) == (Role.MASTER, "")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(file.name for file in folder.iterdir()) == ["authority.pem", "master.pem"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_used_again(folder: Path) -> None:
    made = [user_credential(role) for role in Role]
    assert [user_credential(role) for role in Role] == made
    assert len({one.chain for one in made}) == 3
    assert len({one.authority for one in made}) == 1
    assert works(made[0], made[1])
    assert works(made[0], made[2])


def test_what_is_kept_is_read_without_cryptography(folder: Path) -> None:
    source = """
        import sys
        from masterworker.security import credentials, private, tls, ticket, peer
        for role in peer.Role:
            tls.client_context(credentials.user_credential(role))
        print("cryptography" in sys.modules)
    """
    assert _run(source) == "True"
    assert _run(source) == "False"


def test_processes_at_once_at_first_use_agree(folder: Path) -> None:
    source = """
        import hashlib
        from masterworker.security import credentials, peer
        made = credentials.user_credential(peer.Role.WORKER)
        print(hashlib.sha256(made.authority).hexdigest())
    """
    racers = [_start(source) for _ in range(6)]
    told = {racer.communicate(timeout=HANG)[0] for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * len(racers)
    assert len(told) == 1
    assert works(user_credential(Role.MASTER), user_credential(Role.WORKER))


def _start(source: str) -> subprocess.Popen[str]:
    lines = "\n".join(
        line.strip() if "tls.client" not in line else " " + line.strip()
        for line in source.splitlines()
    )
    return subprocess.Popen([sys.executable, "-c", lines], stdout=subprocess.PIPE, text=True)


def _run(source: str) -> str:
    process = _start(source)
    told = process.communicate(timeout=HANG)[0].strip()
    assert process.returncode == 0
    return told


@pytest.mark.parametrize(("later", "same"), [(14.9 * DAY, True), (15.1 * DAY, False)])
def test_renewed_when_half_of_its_time_is_over(
    folder: Path, at: Callable[[float], None], later: float, same: bool
) -> None:
    made = user_credential(Role.WORKER)
    at(later)
    again = user_credential(Role.WORKER)
    assert (again == made) is same
    assert again.authority == made.authority
    left = certificates.expiry(again.chain) - credentials.now()
    assert dt.timedelta(days=15) < left <= dt.timedelta(days=30)
    assert user_credential(Role.WORKER) == again, "the new one is kept"


def test_renewed_when_the_authority_is_another_one(folder: Path, tmp_path: Path) -> None:
    made = user_credential(Role.WORKER)
    elsewhere = certificates.make_authority(credentials.now())
    write_private(folder / "authority.pem", elsewhere)
    again = user_credential(Role.WORKER)
    assert again.chain != made.chain
    assert again.authority == pem.certificate_block(pem.certificate_of(elsewhere))
    assert works(user_credential(Role.MASTER), again)


@pytest.mark.parametrize("keep", [0, 1, 20, 90, 95, 300, 600, -1])
def test_a_truncated_copy_is_replaced(folder: Path, keep: int) -> None:
    made = user_credential(Role.WORKER)
    kept = folder / "worker.pem"
    write_private(kept, kept.read_bytes()[:keep])
    again = user_credential(Role.WORKER)
    assert again != made
    assert works(user_credential(Role.MASTER), again)


@pytest.mark.parametrize(
    "header", [b"", b"masterworker 1 x y", b"masterworker 1 " + b"9" * 5000 + b" 0", b"\xff \xff"]
)
def test_a_changed_header_is_not_believed(folder: Path, header: bytes) -> None:
    made = user_credential(Role.WORKER)
    kept = folder / "worker.pem"
    write_private(kept, header + b"\n" + made.chain)
    assert user_credential(Role.WORKER) != made


@pytest.mark.parametrize("keep", [0, 10, 240, 300, 600])
def test_a_truncated_authority_is_told(folder: Path, keep: int) -> None:
    user_credential(Role.WORKER)
    damaged = folder / "authority.pem"
    write_private(damaged, damaged.read_bytes()[:keep])
    with pytest.raises(CredentialError, match=r"authority\.pem is damaged: copy it"):
        user_credential(Role.WORKER)


@pytest.mark.parametrize("name", ["authority.pem", "worker.pem"])
def test_a_key_that_others_can_read_is_refused(folder: Path, name: str) -> None:
    user_credential(Role.WORKER)
    (folder / name).chmod(0o644)
    with pytest.raises(CredentialError, match=f"chmod 600 .*{name}"):
        user_credential(Role.WORKER)


def test_a_folder_that_others_can_enter_is_refused(folder: Path) -> None:
    user_credential(Role.WORKER)
    folder.chmod(0o755)
    with pytest.raises(CredentialError, match=r"chmod 700 .*MASTERWORKER_CREDENTIALS can name"):
        user_credential(Role.WORKER)


def test_what_cannot_be_kept_is_used_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise CredentialError("no space left on device")

    monkeypatch.setattr(credentials, "write_private", full)
    assert works(user_credential(Role.MASTER), user_credential(Role.WORKER))


@pytest.mark.parametrize("offset", [-3600.0, 3600.0, -DAY + 60, DAY])
def test_clocks_may_differ_by_an_hour_and_up_to_a_day(
    folder: Path, at: Callable[[float], None], offset: float
) -> None:
    at(offset)
    assert works(user_credential(Role.MASTER), user_credential(Role.WORKER))
    at(0)
    assert works(user_credential(Role.MASTER), user_credential(Role.WORKER))


def test_a_key_made_while_the_clock_was_ahead_is_replaced(
    folder: Path, at: Callable[[float], None]
) -> None:
    credentials.authority()
    at(TEN_YEARS)
    early = user_credential(Role.WORKER)
    at(0)
    assert user_credential(Role.WORKER) != early
    assert works(user_credential(Role.MASTER), user_credential(Role.WORKER))


@pytest.mark.parametrize("offset", [-TEN_YEARS, 3 * TEN_YEARS])
def test_a_clock_that_is_years_off_is_told(
    folder: Path, at: Callable[[float], None], offset: float
) -> None:
    user_credential(Role.WORKER)
    at(offset)
    with pytest.raises(CredentialError, match=r"authority\.pem is valid from .* set the clock"):
        user_credential(Role.WORKER)


def test_an_authority_made_while_the_clock_was_ahead_is_told(
    folder: Path, at: Callable[[float], None]
) -> None:
    at(TEN_YEARS)
    user_credential(Role.WORKER)
    at(0)
    with pytest.raises(CredentialError, match=r"set the clock, or, if it is right, remove"):
        user_credential(Role.WORKER)


def test_where_the_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    assert credentials.credentials_folder() == tmp_path / "settings" / "masterworker"
    monkeypatch.setenv("XDG_CONFIG_HOME", "not/absolute")
    assert credentials.credentials_folder() == tmp_path / ".config" / "masterworker"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("there", ["", ".config", ".config/masterworker"])
def test_with_sudo_the_users_home_folder_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    """Root's folders there would lock him out; unless he has named one for it."""
    for name in (FOLDER_VARIABLE, "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 54321, 54321)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CredentialError) as caught:
        credentials.authority()
    for part in (f"{tmp_path / there} belongs to another user (id 54321)", "sudo -H"):
        assert part in str(caught.value)
    assert FOLDER_VARIABLE in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "named"))
    assert credentials.authority()


def test_it_is_never_shown_and_never_travels(folder: Path) -> None:
    made = user_credential(Role.WORKER)
    assert repr(made) == str(made) == "Credential(role='worker', job='')"
    for escape in (pickle.dumps, cloudpickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="is a secret"):
            escape(made)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="is a secret"):
            pickle.dumps(made, protocol)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.job = "0"  # type: ignore[misc]


def test_whose_jobs_a_peer_may_talk_to() -> None:
    assert OWNER.of_this_user
    assert not Peer(Role.WORKER, "ab").of_this_user
