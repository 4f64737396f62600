"""Portable tickets: whole or refused, in private files only, for a limited time."""

from __future__ import annotations

import base64
import contextlib
import copy
import datetime as dt
import io
import os
import pickle
import random
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from masterworker.errors import CredentialError, UsageError
from masterworker.security import credentials, ticket, tls
from masterworker.security.credentials import user_credential
from masterworker.security.peer import Role
from masterworker.security.private import write_private
from masterworker.security.ticket import Ticket, held, hold, issue, parse, read
from security.handshakes import shake
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB = "0123456789abcdef" * 2
PLACES = (("192.168.1.20", 40123), ("node17.cluster.example.org", 40123), ("fe80::1", 1))
WEEK = dt.timedelta(days=7)
EXAMPLES = settings(
    max_examples=int(os.environ.get("MASTERWORKER_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def made() -> Ticket:
    return issue("demo, ünï", JOB, PLACES, valid=WEEK)


@pytest.fixture(autouse=True)
def nothing_held() -> Iterator[None]:
    hold(None)
    yield
    hold(None)


def test_there_and_back(made: Ticket) -> None:
    text = made.text()
    assert parse(text) == made
    assert text.startswith("mw1.")
    assert text.isascii()
    assert len(text.split()) == 1
    assert len(text) < 2000


@pytest.mark.parametrize("role", [Role.WORKER, Role.OBSERVER])
def test_it_opens_the_door(role: Role) -> None:
    client = parse(issue("demo", JOB, PLACES, role=role, valid=WEEK).text()).credential
    master = user_credential(Role.MASTER)
    server, seen = shake(tls.server_context(master), tls.client_context(client))
    assert server.peer is not None
    assert seen.peer is not None
    assert server.peer[:3] == (role, JOB, "there")
    assert seen.peer[:3] == (Role.MASTER, "", "there")


def test_it_cannot_pose_as_the_master(made: Ticket) -> None:
    rogue = tls.server_context(made.credential)
    _, seen = shake(rogue, tls.client_context(user_credential(Role.WORKER)))
    assert seen.peer is None
    assert "cannot act as a master" in seen.why


def test_reading_needs_no_cryptography(made: Ticket, tmp_path: Path) -> None:
    write_private(tmp_path / "t", made.text().encode())
    source = (
        "import sys; from masterworker.security import ticket, tls;"
        "t = ticket.read('t'); t.require_valid(0); tls.client_context(t.credential);"
        "print('cryptography' in sys.modules)"
    )
    command = [sys.executable, "-c", source]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=HANG)
    assert told.stdout == b"False\n"


@pytest.mark.parametrize("change", [" ", "\n", "\r\n", "\t"])
def test_a_line_that_was_broken_on_its_way_is_read(made: Ticket, change: str) -> None:
    text = made.text()
    wrapped = change.join(text[start : start + 70] for start in range(0, len(text), 70))
    assert parse(change + wrapped + change) == made


def test_cut_anywhere_it_is_incomplete(made: Ticket) -> None:
    text = made.text()
    for end in range(len(text)):
        with pytest.raises(CredentialError) as caught:
            parse(text[:end])
        told = "incomplete or mistyped: copy the whole line" if end > 3 else "not a ticket"
        assert told in str(caught.value)


def test_changed_anywhere_it_is_refused_or_the_same(made: Ticket) -> None:
    text = made.text()
    chance = random.Random(1)
    alphabet = "ABCDwxyz0189-_+/=. \n!é\x00"
    for _ in range(3000):
        place = chance.randrange(len(text))
        cut = chance.choice((0, 1, 1, 1, 2, 30))
        put = "".join(chance.choices(alphabet, k=chance.choice((0, 1, 1, 1, 2))))
        same_or_refused(text[:place] + put + text[place + cut :], made)
    for place in range(len(text) - 1):
        swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        same_or_refused(swapped, made)
    with pytest.raises(CredentialError):
        parse(text + text)


def same_or_refused(text: str, expected: Ticket) -> None:
    with contextlib.suppress(CredentialError):
        assert parse(text) == expected


@EXAMPLES
@given(st.text())
@example("mw1.")
@example("mw1." + "A" * 100)
@example("mw01.")
@example("mw1.é")
@example("mw1.\ud800")
@example("mw999999999999.x")
def test_any_other_text_is_refused(text: str) -> None:
    for one in (text, "mw1." + text):
        with pytest.raises(CredentialError):
            parse(one)


def sealed(content: bytes) -> str:
    """A text with a right checksum, whatever is in it."""
    whole = content + zlib.crc32(content).to_bytes(4, "big")
    return "mw1." + base64.urlsafe_b64encode(whole).decode().rstrip("=")


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)  # fmt: skip


@EXAMPLES
@given(st.binary(min_size=1) | plain.map(msgspec.msgpack.encode))
@example(b"\x91" * 30000)
@example(b"\x98\xa1\xff")
@example(b"\xdd\xff\xff\xff\xff")
@example(msgspec.msgpack.encode(["\x00", "", "worker", [], 0, b"", b"", b""]))
def test_any_other_content_is_refused(content: bytes) -> None:
    with pytest.raises(CredentialError, match="not a ticket"):
        parse(sealed(content))


def fields(made: Ticket) -> list:
    text = made.text().removeprefix("mw1.")
    return msgspec.msgpack.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[:-4])


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 5), (0, b"x"), (1, ""), (1, "AB"), (1, "ab\n"), (2, "master"), (2, "owner"), (3, []),
     (3, [["h", 0]]), (3, [["h", 65536]]), (3, [["h"]]), (3, [["h", 1, 2]]), (4, -1), (4, 2**60),
     (4, 1.5), (4, float("nan")), (5, "x"), (6, None), (7, 0)],
)  # fmt: skip
def test_a_wrong_field_is_refused(made: Ticket, place: int, value: object) -> None:
    content = fields(made)
    assert parse(sealed(msgspec.msgpack.encode(content))) == made
    content[place] = value
    with pytest.raises(CredentialError, match="not a ticket"):
        parse(sealed(msgspec.msgpack.encode(content)))


@EXAMPLES
@given(st.data())
def test_any_change_of_a_field_gives_a_usable_ticket_or_is_refused(made: Ticket, data) -> None:
    content = fields(made)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(plain)
    try:
        changed = parse(sealed(msgspec.msgpack.encode(content)))
    except CredentialError:
        return
    assert repr(changed)
    for check in (
        lambda: changed.require_valid(2e9),
        lambda: tls.client_context(changed.credential),
    ):
        with contextlib.suppress(CredentialError):  # the only error that there may be
            check()


def test_too_long_and_too_new_are_told(made: Ticket) -> None:
    with pytest.raises(CredentialError, match="not a ticket"):
        parse(made.text() + " " * (1 << 16))
    with pytest.raises(CredentialError, match="newer version: update"):
        parse("mw2" + made.text()[3:])


def test_it_expires(made: Ticket) -> None:
    made.require_valid(made.expires - 1)
    with pytest.raises(CredentialError) as caught:
        parse(made.text()).require_valid(made.expires)
    told = str(caught.value)
    date = dt.datetime.fromtimestamp(made.expires, dt.UTC).strftime("%Y-%m-%d")
    assert date in told
    assert "ask for a new one: task_manager ticket 'demo, ünï' --out FILE" in told


def test_it_lasts_as_long_as_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    start = credentials.clock()
    monkeypatch.setattr(credentials, "clock", lambda: start)
    made = issue("demo", JOB, PLACES, valid=dt.timedelta(seconds=90))
    assert made.expires == int(start) + 90


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": Role.MASTER},
        {"valid": dt.timedelta(0)},
        {"valid": -WEEK},
        {"valid": dt.timedelta(days=367)},
        {"job": ""},
        {"job": "not hexadecimal"},
        {"addresses": []},
        {"addresses": [("h", 0)]},
        {"addresses": [("h", 65536)]},
        {"label": "x" * (1 << 16)},
        {"label": "\ud800"},
    ],
)
def test_what_cannot_be_in_a_ticket_is_told(wrong: dict) -> None:
    good = {"label": "demo", "job": JOB, "addresses": PLACES, "valid": WEEK}
    with pytest.raises(UsageError):
        issue(**(good | wrong))


def test_it_is_never_shown_and_never_travels(made: Ticket) -> None:
    assert repr(made) == str(made)
    assert repr(made).startswith("Ticket('demo, ünï', worker at 192.168.1.20:40123, node17.")
    assert JOB not in repr(made)
    for escape in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="is a secret"):
            escape(made)


def test_read_from_a_private_file(made: Ticket, tmp_path: Path) -> None:
    path = tmp_path / "demo.ticket"
    write_private(path, made.text().encode() + b"\n")
    assert read(str(path)) == made
    path.chmod(0o640)
    with pytest.raises(CredentialError, match="chmod 600"):
        read(str(path))
    with pytest.raises(CredentialError, match="No such file"):
        read(str(tmp_path / "missing"))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"mw1.\xff", b"hello"])
def test_a_file_with_something_else_is_told(content: bytes, tmp_path: Path) -> None:
    write_private(tmp_path / "t", content)
    with pytest.raises(CredentialError, match="ticket"):
        read(str(tmp_path / "t"))


def standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> io.TextIOWrapper:
    stream = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stream)
    return stream


def test_read_from_standard_input(made: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = standard_input(monkeypatch, made.text().encode() + b"\nmore\n")
    assert read("-") == made
    assert stream.readline() == "more\n", "only its line is taken"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\n", b"\x00" * 100000])
def test_nothing_on_standard_input_is_told(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, content)
    with pytest.raises(CredentialError, match="ticket"):
        read("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CredentialError, match="closed"):
        read("-")


@pytest.mark.parametrize("length", [4, 50, 10000])
def test_a_ticket_in_a_command_line_is_refused_and_not_repeated(made: Ticket, length: int) -> None:
    text = made.text()[:length]
    with pytest.raises(CredentialError, match="command lines can be read") as caught:
        read(text)
    assert text not in str(caught.value)


def test_a_held_ticket_is_for_its_label(made: Ticket) -> None:
    assert held(made.label) is None
    hold(made)
    assert held(made.label) == made
    assert held("another") is None


def test_the_file_in_the_environment_is_read_once(
    made: Ticket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t"
    monkeypatch.setenv(ticket.TICKET_VARIABLE, str(path))
    with pytest.raises(CredentialError, match="No such file"):
        held(made.label)
    write_private(path, made.text().encode())
    assert held("another") is None
    path.unlink()
    assert held(made.label) == made


def test_a_ticket_itself_in_the_environment_is_refused(
    made: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ticket.TICKET_VARIABLE, made.text())
    with pytest.raises(CredentialError, match="names a file") as caught:
        held(made.label)
    assert made.text() not in str(caught.value)
