"""How programs of this folder are run, each with an engine."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
#: What each engine needs.
PACKAGES = {"thread": "", "loky": "loky", "dask": "distributed", "ray": "ray"}
PACKAGES |= {"mpi": "mpi4py", "openmpi": "mpi4py", "separate": "distributed"}


def has(package: str) -> bool:
    return not package or importlib.util.find_spec(package) is not None


def ranks(kind: str, program: str) -> tuple[list[str], dict[str, str]]:
    """How to start three ranks, by MPICH or by Open MPI, and in which environment."""
    run = [sys.executable, *(["-m", "masterworker.mpi"] if program.startswith("pilot") else [])]
    if kind == "mpi":
        beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        if (found := shutil.which("mpiexec", path=beside)) is None:
            pytest.skip("there is no mpiexec: pip install mpich")
        return [found, "-n", "3", *run], {}
    library = next(Path("/usr/lib").glob("*/libmpi.so.40"), None)
    if (found := shutil.which("mpiexec.openmpi")) is None or library is None:
        pytest.skip("Open MPI is not installed: apt-get install openmpi-bin")
    options = ["--allow-run-as-root", "--oversubscribe", "-n", "3"]
    return [found, *options, *run], {"MPI4PY_LIBMPI": str(library)}


def run(folder: Path, program: str, kind: str, *words: str, status: int = 0, **env: str) -> str:
    """Run a program of this folder. Its output goes to files: processes of engines keep it open.

    Args:
        folder: For these files.
        program: Its name.
        kind: Which engine it has, as its first argument.
        words: Further arguments.
        status: With which it must end.
        env: Further variables of its environment.

    Returns:
        What it has said.
    """
    if not has(PACKAGES.get(kind, "")):
        pytest.skip(f"{PACKAGES[kind]} is not installed")
    start, more = ranks(kind, program) if "mpi" in kind else ([sys.executable], {})
    said, told = folder / "out", folder / "err"
    with said.open("w") as out, told.open("w") as err:
        ended = subprocess.run(
            [*start, str(HERE / program), kind, *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            check=False,
            timeout=380,
            env={**os.environ, **more, **env},
        )
    assert ended.returncode == status, said.read_text() + told.read_text()
    return said.read_text()


def result_in(said: str) -> Any:
    """Return what a program has found; an engine may say something after it."""
    return json.loads([x for x in said.splitlines() if x.startswith('{"found"')][-1])["found"]
