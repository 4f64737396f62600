"""`task_manager web`: what it serves, to whom, and how long."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from e2e.desk import MARK, until
from e2e.viewing import JOB, Page, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.desk import Desk


@pytest.fixture
def page(desk: Desk) -> Iterator[Page]:
    """A page of a job whose tasks are done, and that has not ended."""
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    return page_of(desk)


def test_how_the_job_stands(desk: Desk, page: Page) -> None:
    """The figures are those of `show`; afterwards only what has changed is sent."""
    found = page.shows(state="live", asked=40, done=30, failed=10, workers=1)
    assert found["base"] == 0
    later = page.seen(found["number"])
    assert later["base"] == found["number"]
    assert "failures" not in later["changes"]
    shown = desk.census()["snapshot"]
    names = ("asked", "done", "failed", "workers", "failures", "instance")
    assert {name: shown[name] for name in names} == {name: found["changes"][name] for name in names}


def test_the_page_survives_its_job(desk: Desk, page: Page) -> None:
    """How it ended is shown, from the record that is kept."""
    desk.write("end", "")
    found = page.shows(state="ended", ended=True, done=30, failed=10)
    assert "is over" in found["changes"]["headline"]
    assert page.served.process.poll() is None


def test_a_master_that_is_killed_and_comes_back(desk: Desk, page: Page) -> None:
    """The last picture is shown, and then the new run of it."""
    before = page.shows(state="live", done=30)["changes"]["instance"]
    desk._running[0].kill()
    found = page.shows(state="gone", done=30)
    assert found["state"]["at"] > 1e9
    assert found["changes"]["instance"] == before
    desk.start(desk.folder / "job.py")
    found = page.shows(state="live", done=30)
    assert found["changes"]["instance"] != before


def test_a_master_that_stands_still(desk: Desk, page: Page) -> None:
    """The page answers all the same, and says so."""
    master = desk._running[0].process
    page.shows(state="live", done=30)
    master.send_signal(signal.SIGSTOP)
    try:
        assert page.shows(state="silent", done=30)["state"]["said"]
    finally:
        master.send_signal(signal.SIGCONT)
    page.shows(state="live")


def test_ctrl_c_leaves_nothing(desk: Desk, page: Page) -> None:
    assert stat.S_IMODE(page.file.stat().st_mode) == 0o600
    assert page.file.stat().st_uid == os.geteuid()
    page.served.signal(signal.SIGINT)
    assert page.served.status() == 130
    assert page.served.complaints == ""
    assert not page.file.exists()


def test_sigterm_leaves_nothing(desk: Desk, page: Page) -> None:
    page.served.signal(signal.SIGTERM)
    assert page.served.status() == 143
    assert page.served.complaints == ""
    assert not page.file.exists()


def test_the_token_is_nowhere(desk: Desk, page: Page) -> None:
    """In no command line, environment or output; the file that has it is private."""
    page.seen()
    for process in psutil.process_iter():
        try:
            told = " ".join([*process.cmdline(), *process.environ().values()])
        except psutil.Error:
            continue
        assert page.token not in told
    for running in desk._running:
        assert page.token not in running.out + running.err
    desk.write("end", "")
    page.shows(state="ended")
    kept = [path for path in desk.folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if page.token in path.read_text(errors="replace")]


# -- refusals -----------------------------------------------------------------------------------


def test_without_the_token(page: Page) -> None:
    """How the job stands is not told; nor is the token taken from elsewhere."""
    for token in ("", "x" * 43, page.token[:-1], page.token + "x", page.token.swapcase(), "\xe9"):
        status, _, body = page.get(X_Masterworker_Token=token)
        assert (status, b"instance" in body) == (401, False)
    elsewhere = [{"Cookie": f"token={page.token}"}, {"Authorization": f"Bearer {page.token}"}]
    for headers in elsewhere:
        assert page.get(X_Masterworker_Token="", **headers)[0] == 401
    assert page.get(f"/snapshot?token={page.token}", X_Masterworker_Token="")[0] == 401


def test_metrics(page: Page) -> None:
    """Also by the header that Prometheus can be told to send, which is good for nothing else."""
    page.shows(state="live", done=30)
    bearer = {"Authorization": f"Bearer {page.token}"}
    for headers in ({}, {"X_Masterworker_Token": "", **bearer}):
        status, found, body = page.get("/metrics", **headers)
        assert status == 200
        assert found["content-type"].startswith("text/plain")
        assert b"masterworker_tasks_done_total" in body
    for given in ("", "Bearer x", page.token[:-1], "Basic eDp5"):
        assert page.get("/metrics", X_Masterworker_Token="", Authorization=given)[0] == 401
    assert page.get("/spans?worker=1", X_Masterworker_Token="", **bearer)[0] == 401


def test_spans_of_a_worker(page: Page) -> None:
    """Of one that is there, and of none; all viewers together are told a few in a second."""
    found = page.shows(state="live", done=30)
    worker = found["changes"]["worker_list"][0]["id"]

    def told(number: object) -> Any:
        until(lambda: page.get(f"/spans?worker={number}")[0] != 429, "it is told")
        threading.Event().wait(0.6)
        status, _, body = page.get(f"/spans?worker={number}")
        assert status == 200
        return json.loads(body)

    assert sum(tasks for _, _, _, tasks, _ in told(worker)) > 0
    assert told(10**9) == []


def test_the_files_need_no_token_and_tell_nothing(page: Page) -> None:
    for target in ("/", "/main.js", "/page.css", "/icon.svg"):
        status, headers, body = page.get(target, X_Masterworker_Token="")
        assert status == 200
        assert page.token.encode() not in body
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert not [name for name in headers if name.startswith("access-control")]
        assert "server" not in headers


def test_other_names_and_other_pages(page: Page) -> None:
    """A name that an attacker lets point to this machine, and requests that pages have caused."""
    for host in ("evil.example", f"evil.example:{page.port}", "127.0.0.1.nip.io"):
        for target in ("/", "/snapshot?from=0"):
            status, headers, _ = page.get(target, Host=host)
            assert status == 421
            assert not [name for name in headers if name.startswith("access-control")]
    for headers in (
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ):
        assert page.get(**headers)[0] == 403


def test_other_methods_and_paths(page: Page) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "CONNECT"):
        assert page.get(method=method)[0] in {400, 405}
    for target in (
        *("/../page.html", "/static/page.html", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"),
        *("/main.js/", "/main.js%00", "/..%2f..%2fapp.py", "/app.py", "/snapshot/"),
    ):
        status, _, body = page.get(target)
        assert (status, b"root:" in body) == (404, False), target
    assert page.get("/" + "x" * 5000)[0] == 414
    assert page.get("http://evil.example/")[0] == 421


def test_odd_questions(page: Page) -> None:
    """What is no number is none."""
    for base in ("", "-1", "1e9", "x", "9" * 400, "%00", "1&from=2", "\u0661"):
        target = "/snapshot?from=" + base.encode("ascii", "xmlcharrefreplace").decode()
        assert page.get(target)[0] == 200


def test_requests_that_are_no_requests(page: Page) -> None:
    """Whatever is sent, the page goes on, and says nothing of it in its output."""
    for sent in (
        b"\0" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n",
        b"GET /snapshot HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", page.port), 60) as connection:
            try:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                reply = connection.recv(65536)
            except OSError:
                reply = b""
        assert reply == b"" or reply.split(b" ", 2)[1].startswith(b"4")
        page.seen()
    assert page.served.complaints == ""


def test_a_hundred_viewers_and_one_that_stops_reading(page: Page) -> None:
    """All are answered, and more connections than there may be push out the oldest."""
    asking = (
        f"GET /snapshot?from=0 HTTP/1.1\r\nHost: localhost\r\n"
        f"X-Masterworker-Token: {page.token}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", page.port), 60) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(asking * 20)
        viewers = [socket.create_connection(("127.0.0.1", page.port), 60) for _ in range(100)]
        try:
            for viewer in viewers:
                viewer.sendall(asking)
            assert all(viewer.recv(15) == b"HTTP/1.1 200 OK" for viewer in viewers)
            page.seen()
            for _ in range(200):
                viewers.append(socket.create_connection(("127.0.0.1", page.port), 60))
            page.seen()
            served = psutil.Process(page.served.pid)
            until(lambda: len(served.net_connections()) <= 260, "there are few connections")
        finally:
            for viewer in viewers:
                viewer.close()
    page.seen()


def test_connections_that_say_nothing(desk: Desk) -> None:
    """They are closed, also where now and again a byte comes; viewers that ask stay."""
    program = """
    import sys
    from masterworker.cli import main
    from masterworker.views.web import serving

    serving.SILENT, serving.LOOK = 2.0, 0.1
    sys.exit(main.main(sys.argv[1:]))
    """
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    page = Page(desk.start(desk.write("page.py", program), "web", desk.label))

    def is_closed(connection: socket.socket, said: bytes) -> bool:
        try:
            if said:
                connection.sendall(said)
            connection.settimeout(0.2)
            return connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    for said in (b"", b"X"):
        with socket.create_connection(("127.0.0.1", page.port), 60) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            until(lambda: is_closed(connection, said), "it is closed")  # noqa: B023
    page.seen()


# -- where it is --------------------------------------------------------------------------------


def test_a_private_socket(desk: Desk, tmp_path: Path) -> None:
    """In a private folder, for this user alone; a name that is taken is refused."""
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    path = tmp_path / "own" / "page"
    served = desk.command("web", desk.label, "--socket", str(path))
    told = served.says("then open the address in ")
    assert f"ssh -N -L 8765:{path}" in told
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost:8765\r\n\r\n")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    if os.geteuid() == 0:  # else no process of another user can be had
        asking = (
            "import os, socket\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            f"socket.socket(socket.AF_UNIX).connect({str(path)!r})"
        )
        command = [sys.executable, "-c", asking]
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "PermissionError" in other.stderr
    second = desk.command("web", desk.label, "--socket", str(path))
    assert second.status() == 2
    assert "another process listens" in second.err
    served.kill()  # and leaves its socket, which is of no use any more
    third = desk.command("web", desk.label, "--socket", str(path))
    third.says("then open the address in ")
    third.signal(signal.SIGTERM)
    assert third.status() == 143
    assert not path.exists()


def test_places_that_cannot_be(desk: Desk, tmp_path: Path) -> None:
    """Each is one sentence."""
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open").chmod(0o755)
    (tmp_path / "taken").mkdir(mode=0o700)
    (tmp_path / "taken" / "file").write_text("mine")
    long = tmp_path / "long" / ("x" * 120)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, status, said in (
            (("--port", port), 3, f"port {port} cannot be used"),
            (("--port", "70000"), 2, "port"),
            (("--port", "1", "--socket", "x"), 2, "--port or --socket"),
            (("--socket", str(tmp_path / "open" / "s")), 3, "other users can enter"),
            (("--socket", str(tmp_path / "taken" / "file")), 2, "exists already"),
            (("--socket", str(long)), 3, "there can be no socket"),
        ):
            refused = desk.command("web", desk.label, *words)
            assert refused.status() == status, refused.err
            assert len(refused.err.splitlines()) == 1
            assert said in refused.err
    assert (tmp_path / "taken" / "file").read_text() == "mine"


def test_no_such_job(desk: Desk) -> None:
    refused = desk.command("web", desk.label)
    assert refused.status() == 3
    assert len(refused.err.splitlines()) == 1


def test_a_job_that_is_gone_already(desk: Desk, tmp_path: Path) -> None:
    """Its record is shown."""
    env = {"MASTERWORKER_STATE": str(tmp_path / "state")}
    desk.write("end", "")
    desk.start(desk.write("job.py", JOB), **env).good()
    page = Page(desk.command("web", desk.label, **env))
    found = page.shows(state="ended", done=30, failed=10)
    assert "is over" in found["changes"]["headline"]


def test_by_ticket(desk: Desk, tmp_path: Path) -> None:
    """As from a laptop: an observer's is enough; one that is damaged, or of another job, is not."""
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    ticket = tmp_path / "ticket"
    desk.command("ticket", desk.label, "--observer", "--out", str(ticket)).good()
    page = Page(desk.command("web", "--ticket", str(ticket)))
    page.shows(state="live", done=30, failed=10)
    damaged = tmp_path / "damaged"
    damaged.write_text(ticket.read_text()[:-40])
    damaged.chmod(0o600)
    for words, status in (
        (("--ticket", str(damaged)), 7),
        (("other", "--ticket", str(ticket)), 2),
        (("--ticket", str(tmp_path / "none")), 7),
    ):
        refused = desk.command("web", *words)
        assert refused.status() == status, refused.err
        assert len(refused.err.splitlines()) == 1
    desk._running[0].kill()
    found = page.shows(state="gone", done=30)
    assert found["changes"]["workers"] == 1  # no record is looked for


def test_records_that_cannot_be_read(desk: Desk, tmp_path: Path) -> None:
    env = {"MASTERWORKER_STATE": str(tmp_path / "state")}
    desk.write("end", "")
    desk.start(desk.write("job.py", JOB), **env).good()
    (record,) = (tmp_path / "state" / "records").glob("*.record")
    for data in (b"", b"\xc1" * 99, record.read_bytes()[:-50]):
        record.write_bytes(data)
        refused = desk.command("web", desk.label, **env)
        assert refused.status() == 3
        assert len(refused.err.splitlines()) == 1
        assert "damaged" in refused.err


def test_no_place_for_the_address(desk: Desk, tmp_path: Path) -> None:
    """Where it cannot be printed, and no private file can be written."""
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    program = """
    import errno, sys
    from masterworker.cli import main, web

    def write_new(path, data):
        from masterworker.errors import CredentialError
        raise CredentialError(f"{path} cannot be written: No space left on device")

    web.write_new = write_new
    sys.exit(main.main(sys.argv[1:]))
    """
    refused = desk.start(desk.write("page.py", program), "web", desk.label)
    assert refused.status() == 7
    assert len(refused.err.splitlines()) == 1


def test_a_name_of_a_proxy(desk: Desk) -> None:
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    page = page_of(desk, "--host-name", "Node.example.org")
    assert page.get(Host="node.example.org:443")[0] == 200
    assert page.get(Host="other.example.org:443")[0] == 421


def test_a_browser_of_this_machine(desk: Desk, tmp_path: Path) -> None:
    """It is led to the page by a private file, so no command line has the token."""
    note = tmp_path / "opened"
    browser = desk.write(
        "browser",
        f"""
        #!{sys.executable}
        import pathlib, sys
        pathlib.Path({str(note) + ".new"!r}).write_text(" ".join(sys.argv[1:]))
        pathlib.Path({str(note) + ".new"!r}).rename({str(note)!r})
    """,
    )
    browser.chmod(0o700)
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    page = page_of(desk, "--open", BROWSER=str(browser))
    until(note.exists, "the browser was started")
    opened = note.read_text()
    assert opened.startswith("file://")
    assert page.token not in opened
    file = Path(opened.removeprefix("file://"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert html.escape(page.address) in file.read_text()
    page.served.signal(signal.SIGTERM)
    page.served.status()
    assert not file.exists()


def test_no_browser(desk: Desk) -> None:
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    page = page_of(desk, "--open", BROWSER="", DISPLAY="", WAYLAND_DISPLAY="")
    page.served.says("no browser was found: open the address yourself")
    page.seen()


# -- from a program -----------------------------------------------------------------------------

WITH_A_PAGE = """
    import masterworker
    from gate import say, wait_for

    if __name__ == "__main__":
        with masterworker.Master(LABEL, workers=1, web=True) as master:
            assert master.submit(abs, -1).result() == 1
            say("asked")
            wait_for("end")
"""


def test_a_program_with_a_page(desk: Desk) -> None:
    """It says where; its pipes end with it, and the page outlives it."""
    with subprocess.Popen(
        [sys.executable, desk.write("job.py", WITH_A_PAGE)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, MARK: desk._mark},
    ) as program:
        assert program.stderr is not None
        line = program.stderr.readline()
        page = Page.at(Path(re.findall("the address in (.+)", line)[0]))
        page.shows(state="live", done=1)
        desk.write("end", "")
        _, told = program.communicate(timeout=60)
    assert page.token not in line + told
    page.shows(state="ended", done=1)
    (served,) = [each for each in desk.living() if "web" in each.cmdline()]
    assert os.getsid(served.pid) == served.pid
    served.terminate()
    until(lambda: not page.file.exists(), "it has ended")


def test_a_page_of_a_job_that_cannot_be_found(desk: Desk) -> None:
    for words in ("", "'made up', serial=True, "):
        text = f"import masterworker\nmasterworker.Master({words}web=True)\n"
        program = desk.start(desk.write("job.py", text))
        assert program.status() == 1
        assert "web=True needs a label" in program.err


def test_it_ends_some_time_after_its_last_viewer(desk: Desk) -> None:
    """Only when the job is over, and no viewer asks."""
    program = """
    import sys
    from masterworker.cli import main, web
    from masterworker.views.web import serving

    web.UNUSED, serving.LOOK = 1.0, 0.1
    sys.exit(main.main(sys.argv[1:]))
    """
    desk.start(desk.write("job.py", JOB))
    desk.reach("asked")
    page = Page(desk.start(desk.write("page.py", program), "web", desk.label))
    for _ in range(3):
        page.shows(state="live")
        threading.Event().wait(1.2)
    desk.write("end", "")
    page.shows(state="ended")
    assert page.served.status() == 0
    assert not page.file.exists()
