"""Runs a program under MPI: `mpiexec -n 5 python -m masterworker.mpi PROGRAM [ARGUMENTS]`.

Rank 0 executes the program. The other ranks are its workers, in child processes, so that a task
that ends its process costs no rank, and whatever number of workers the program asks for: each of
its masters has them all. With `-n 1` rank 0 has a worker as well.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from masterworker.engine.pilots.ranks import Ranks, of_program, serve
from masterworker.errors import UsageError
from masterworker.transport import hosts

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["main", "serve"]

_USAGE = "usage: mpiexec -n N python -m masterworker.mpi PROGRAM [ARGUMENTS]"


def main() -> int:
    """Be one rank. Returns the exit status."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(_USAGE, file=sys.stderr)
        return 2
    try:
        from mpi4py import MPI
    except ImportError:
        raise UsageError("MPI needs mpi4py: pip install 'masterworker[mpi]'") from None
    comm = MPI.COMM_WORLD.Dup()
    names = comm.gather(os.uname().nodename, root=0) or []
    if comm.Get_rank():
        serve(comm)
        return 0
    _listen_for(names)
    executor = of_program.executor = _executor(comm)
    try:
        return _execute(sys.argv[1])
    finally:
        _end_jobs()
        executor.shutdown()


def _executor(comm: Any) -> Executor:
    if comm.Get_size() > 1:
        return Ranks(comm)
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(1)


def _listen_for(names: list[str]) -> None:
    """Let masters listen where ranks on other machines reach them, unless the user says where."""
    others = [name for name in names if name != names[0]]
    if others and not os.environ.get(hosts.HOST):
        os.environ[hosts.HOST] = hosts.address_towards(others[0], 1) or names[0]


def _execute(path: str) -> int:
    """Be the main program, as Python would be. Returns the exit status."""
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(path).absolute().parent)
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=__builtins__, __spec__=None)
    sys.modules["__main__"] = main
    try:
        exec(compile(Path(path).read_bytes(), path, "exec"), main.__dict__)  # noqa: S102  it is the user's program
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BaseException:
        traceback.print_exc()
        return 1
    for thread in threading.enumerate():  # as the interpreter does
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    return 0


def _end_jobs() -> None:
    """End the jobs, so that the ranks return from them."""
    if (exits := sys.modules.get("masterworker.engine.pilots.exits")) is not None:
        exits.end_all()


if __name__ == "__main__":
    sys.exit(main())
