"""A real Slurm for this folder's tests, and programs that use it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cluster.programs import Programs
from cluster.slurm import Slurm, missing
from masterworker.transport.hosts import ANY, LOCAL, addresses
from security.hosts.fixtures import sshd, start_sshd
from support import unique_label

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["sshd", "start_sshd"]


@pytest.fixture(scope="session")
def whole_slurm() -> Iterator[Slurm]:
    """A Slurm of two nodes; skips where there can be none."""
    if lacks := missing():
        pytest.skip(lacks)
    folder = Path(tempfile.mkdtemp(prefix="mwslurm"))  # short: paths of sockets are
    slurm = Slurm(folder / "s")
    slurm.folder.mkdir()
    try:
        slurm.begin()
        yield slurm
    finally:
        slurm.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def slurm(whole_slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """The same, with an empty queue before and after."""
    for name, value in whole_slurm.environment.items():
        monkeypatch.setenv(name, value)
    whole_slurm.clear()
    yield whole_slurm
    whole_slurm.clear()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("MASTERWORKER_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(scope="session")
def address() -> str:
    """An address of this machine that is not loopback, as nodes reach it."""
    found = [host for host in addresses(ANY) if host not in LOCAL]
    if not found:
        pytest.skip("this machine has no address but loopback")
    return found[0]


@pytest.fixture
def programs(tmp_path: Path, address: str) -> Iterator[Programs]:
    """Programs of a job that nodes can reach."""
    started = Programs(tmp_path, unique_label("cluster"), address)
    yield started
    started.close()
