"""A real Slurm for this folder's tests, and programs that use it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cluster import grid_engine as real_grid_engine
from cluster.grid_engine import GridEngine
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


@pytest.fixture(scope="session")
def whole_grid_engine() -> Iterator[GridEngine]:
    """A Grid Engine of one host; skips where there can be none."""
    if lacks := real_grid_engine.missing():
        pytest.skip(lacks)
    folder = Path(tempfile.mkdtemp(prefix="mwsge"))
    engine = GridEngine(folder / "s")
    engine.folder.mkdir()
    try:
        engine.begin()
        yield engine
    finally:
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def grid_engine(
    whole_grid_engine: GridEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GridEngine]:
    """The same, with an empty queue before and after."""
    for name, value in whole_grid_engine.environment.items():
        monkeypatch.setenv(name, value)
    whole_grid_engine.clear()
    yield whole_grid_engine
    whole_grid_engine.clear()


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
