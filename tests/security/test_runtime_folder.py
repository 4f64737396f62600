"""Where notices and sockets are when others want to be there first, and that all find them."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from masterworker import LabelTakenError, Master
from masterworker.errors import TransportError
from masterworker.transport import endings, notice, runtime
from masterworker.transport.address import Address
from masterworker.transport.notice import Notice
from masterworker.transport.runtime import runtime_folder
from security.commands import NOT_FOUND, task_manager, wrong
from support import unique_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STRANGER = 54321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


class Place:
    """A home folder, and a folder for temporary files that is everybody's."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)
        if os.geteuid() == 0:
            os.chown(self.temporary, STRANGER, STRANGER)  # whoever's it is: it is everybody's
        #: What others can make before us.
        self.shared = self.temporary / f"masterworker-{os.geteuid()}"

    @property
    def own(self) -> list[Path]:
        """The folders of runs below the home folder."""
        return sorted(self.home.glob(".cache/masterworker/run-*"))

    def squat(self) -> None:
        """Somebody else makes it."""
        self.shared.mkdir(0o755)
        os.chown(self.shared, STRANGER, STRANGER)

    def leave(self) -> None:
        """He removes it."""
        self.shared.rmdir()


def left_in(folder: Path) -> list[str]:
    """What masters that have ended left behind, besides the list of those."""
    return [path.name for path in folder.iterdir() if path.name != endings.NAME]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Without variables that would name another folder. Short: paths of sockets have to be."""
    folder = Path(tempfile.mkdtemp(prefix="mw"))
    folder.chmod(0o755)
    made = Place(folder)
    for name in ("MASTERWORKER_RUNTIME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(made.home))
    monkeypatch.setenv("TMPDIR", str(made.temporary))
    yield made
    shutil.rmtree(folder)


@pytest.fixture
def label() -> str:
    return unique_label("squatted")


def published(label: str) -> Notice:
    made = Notice(label)
    made.publish(Address("127.0.0.1", 1))
    return made


# -- which folder --------------------------------------------------------------------------


def test_without_a_session_it_is_the_one_for_temporary_files(place: Place) -> None:
    assert runtime_folder() == place.shared
    assert stat.S_IMODE(place.shared.stat().st_mode) == 0o700
    assert place.own == []


@pytest.mark.parametrize("given", ["", "not/absolute", "/nowhere at all"])
def test_a_folder_for_temporary_files_that_is_none(
    place: Place, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """Nor does it matter whether there is room in it: all processes choose alike."""
    monkeypatch.setenv("TMPDIR", given)
    assert runtime._temporary() == Path("/tmp")


def test_the_folder_of_the_session(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place.home))
    assert runtime_folder() == place.home / "masterworker"


@as_root
def test_the_folder_of_somebody_elses_session_is_not_used(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with sudo, which may keep the variable."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place.home))
    os.chown(place.home, STRANGER, STRANGER)
    assert runtime_folder() == place.shared
    assert list(place.home.iterdir()) == []


def test_a_folder_of_ours_that_others_can_enter_is_told_and_not_avoided(place: Place) -> None:
    place.shared.mkdir()
    place.shared.chmod(0o755)
    with pytest.raises(TransportError, match=r"run chmod 700 .*MASTERWORKER_RUNTIME can name"):
        runtime_folder()
    assert place.own == []


def test_a_relative_name_is_made_absolute(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notices are read in other folders, and a master may change its own."""
    monkeypatch.setenv("MASTERWORKER_RUNTIME", "relative")
    monkeypatch.chdir(place.home)
    assert runtime_folder() == place.home / "relative"
    with Master(unique_label("mobile")) as master:
        found = notice.find(master.label)
        assert found is not None
        assert found.socket.startswith(str(place.home))
        monkeypatch.chdir(place.temporary)
    assert left_in(place.home / "relative") == []


@pytest.mark.parametrize("excess", [0, 1, 100])
def test_a_path_that_is_too_long_for_a_socket_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, excess: int
) -> None:
    """Before anything is made; and the longest that there can be works."""
    room = 107 - len(f"{place.home}//0123456789abcdef.sock")
    folder = place.home / ("x" * (room + excess))
    monkeypatch.setenv("MASTERWORKER_RUNTIME", str(folder))
    if excess:
        with pytest.raises(TransportError, match="a shorter folder with MASTERWORKER_RUNTIME"):
            Master("x")
    else:
        Master("x").shutdown()
    assert left_in(folder) == []


# -- taken by somebody else ----------------------------------------------------------------


def _a_folder(place: Place) -> None:
    place.squat()


def _a_file(place: Place) -> None:
    place.shared.touch()
    os.chown(place.shared, STRANGER, STRANGER)


def _a_link_to_a_folder_of_ours(place: Place) -> None:
    (place.home / "ours").mkdir(mode=0o700)
    place.shared.symlink_to(place.home / "ours")
    os.chown(place.shared, STRANGER, STRANGER, follow_symlinks=False)


def _a_link_to_nowhere(place: Place) -> None:
    place.shared.symlink_to(place.home / "nowhere")
    os.chown(place.shared, STRANGER, STRANGER, follow_symlinks=False)


@as_root
@pytest.mark.parametrize(
    "taken", [_a_folder, _a_file, _a_link_to_a_folder_of_ours, _a_link_to_nowhere]
)
def test_a_job_runs_all_the_same(place: Place, label: str, taken: Callable[[Place], None]) -> None:
    """And commands find it."""
    taken(place)
    with Master(label, workers=1) as master:
        assert master.submit(abs, -1).result(30) == 1
        shown = task_manager("list")
        assert (shown.status, shown.out.split("\n")[0].startswith(label)) == (0, True)
        assert task_manager("show", label).status == 0
        assert [runtime_folder()] == place.own
        assert stat.S_IMODE(place.own[0].stat().st_mode) == 0o700


@as_root
def test_where_he_came_later_or_has_left_does_not_matter(place: Place, label: str) -> None:
    """A master is found whatever has happened since; and its label is taken."""
    place.squat()
    held = published(label)
    place.leave()
    later = published("later")
    assert [Path(held.socket_path).parent] == place.own
    assert Path(later.socket_path).parent == place.shared
    assert notice.find(label) is not None
    assert notice.published(label) is not None
    assert set(notice.all_notices()) == {label, "later"}
    with pytest.raises(LabelTakenError, match=f"process {os.getpid()}"):
        Notice(label)
    assert len(list(place.shared.glob("*.notice"))) == 1, "the one that failed is left"
    held.release()
    assert notice.find(label) is None
    Notice(label).release()
    later.release()


@as_root
@pytest.mark.parametrize("first", ["below home", "in /tmp"])
def test_of_two_at_once_in_different_folders_one_has_the_label(
    place: Place, label: str, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He leaves while a master begins, and another one begins: before or after it has locked."""
    place.squat()
    lock, others = notice._lock, list[Notice]()

    def other() -> None:
        monkeypatch.setattr(notice, "_lock", lock)
        place.leave()
        if first == "below home":
            with pytest.raises(LabelTakenError):
                Notice(label)
        else:
            others.append(Notice(label))

    def meanwhile(path: Path) -> int | None:
        if first == "in /tmp":
            other()
        file = lock(path)
        if first == "below home":
            other()
        return file

    monkeypatch.setattr(notice, "_lock", meanwhile)
    if first == "below home":
        Notice(label).release()
    else:
        with pytest.raises(LabelTakenError):
            Notice(label)
        others[0].release()
    assert list(place.own[0].iterdir()) == []
    assert list(place.shared.iterdir()) == []


@as_root
def test_machines_that_share_a_home_folder_have_different_ones(
    place: Place, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.squat()
    here = published(label)
    monkeypatch.setattr(runtime, "boot_id", lambda: "another machine")
    assert notice.find(label) is None
    assert runtime_folder() not in {Path(here.socket_path).parent, place.shared}
    Notice(label).release()
    here.release()


@as_root
def test_where_nothing_is_ours_the_variable_is_named(place: Place) -> None:
    place.squat()
    os.chown(place.home, STRANGER, STRANGER)
    told = wrong(task_manager("show", "x"), NOT_FOUND)
    assert str(place.shared) in told
    assert str(place.home) in told
    assert "MASTERWORKER_RUNTIME" in told
    assert list(place.home.iterdir()) == []


def test_a_long_folder_for_temporary_files_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Batch systems set one: a socket's path would be too long, and no worker could come."""
    long = tmp_path / ("pbs.6020182." + "x" * 60) / "tmp"
    long.mkdir(parents=True)
    for name in ("MASTERWORKER_RUNTIME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(long))
    assert not runtime_folder().is_relative_to(long)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert not runtime_folder().is_relative_to(long)


def test_a_folder_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the variable that names another one, whatever the system says."""
    folder = tmp_path / "mine"
    monkeypatch.setenv("MASTERWORKER_RUNTIME", str(folder))
    runtime_folder()
    notice = Notice("full")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", _no_space)
        with pytest.raises(TransportError, match=rf"{folder}.*No space.*MASTERWORKER_RUNTIME"):
            notice.publish(Address("127.0.0.1", 1, ""))
    notice.release()
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("MASTERWORKER_RUNTIME", str(file / "below"))
    with pytest.raises(TransportError, match=r"below.*MASTERWORKER_RUNTIME can name another"):
        Notice("nowhere")


def _no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_label_that_this_program_has_taken_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a cell of a notebook that is run again: it says what to do."""
    monkeypatch.setenv("MASTERWORKER_RUNTIME", str(tmp_path / "r"))
    told = r"this program itself.*shutdown\(\) first"
    with Master("mine"), pytest.raises(LabelTakenError, match=told):
        Master("mine")
    Master("mine").shutdown()
