"""What a journal costs: `python -m benchmarks.journal [--repeat 3]`.

Each figure beside the same without a journal, in turn, from one process. The disk of a shared
machine hardly flushes, so a flush is measured as well.
"""

from __future__ import annotations

import argparse
import operator
import os
import tempfile
import time
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from masterworker import Master
from masterworker.core.task import RESULT
from masterworker.journal import format as layout
from masterworker.journal.journal import Journal, Settings
from masterworker.journal.records import Done, Header
from masterworker.security import credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAPPED, SUBMITTED, TRIPS, MANY = 200_000, 20_000, 500, 1_000_000


@contextmanager
def job(folder: Path | None, mode: str) -> Iterator[Master]:
    """A master with two workers; with a journal, if there is a folder."""
    kept: dict[str, Any] = {}
    if folder is not None:
        kept = {"journal": folder / f"{time.monotonic_ns()}.journal", "journal_mode": mode}
    with Master(workers=2, **kept) as master:
        list(master.map(abs, range(1000)))
        yield master


def mapped(master: Master) -> float:
    """Tiny tasks of `map` a second."""
    began = time.perf_counter()
    for _ in master.map(operator.neg, range(MAPPED)):
        pass
    return MAPPED / (time.perf_counter() - began)


def submitted(master: Master) -> float:
    """Tiny tasks of `submit` a second."""
    began = time.perf_counter()
    for future in [master.submit(operator.neg, i) for i in range(SUBMITTED)]:
        future.result()
    return SUBMITTED / (time.perf_counter() - began)


def trip(master: Master) -> float:
    """Microseconds of one round trip."""
    times = []
    for i in range(TRIPS):
        began = time.perf_counter()
        master.submit(operator.neg, i).result()
        times.append(time.perf_counter() - began)
    return 1e6 * median(times)


def megabytes(master: Master) -> float:
    """Megabytes a second of arrays of 1 MB, in and out."""
    import numpy as np

    arrays = [np.full(1 << 17, float(i)) for i in range(60)]
    began = time.perf_counter()
    for _ in master.map(operator.neg, arrays):
        pass
    return 2 * len(arrays) / (time.perf_counter() - began)


def flush(folder: Path) -> float:
    """Microseconds of one flush of a small write."""
    times = []
    with (folder / "flushed").open("wb") as file:
        for _ in range(200):
            file.write(b"x" * 200)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return 1e6 * median(times)


def opened(folder: Path) -> tuple[float, float]:
    """Seconds to open a journal of many single outcomes, and bytes of memory for each."""
    path, key = folder / "many.journal", layout.key_of(credentials.authority())
    header = Header("0" * 32, layout.name_of(key), 0.0)
    keyed = layout.Keyed(key, header.journal)
    with path.open("wb") as file:
        file.write(layout.write_header(header, key))
        for number, first in enumerate(range(0, MANY, 1000)):
            some = [
                Done(i.to_bytes(16, "big"), "@f", RESULT, [b"\x80\x05K\x01."], "w", 1, 0.0)
                for i in range(first, first + 1000)
            ]
            file.writelines(layout.write_group(some, number, keyed))
    began = time.perf_counter()
    Journal(Settings(path)).close(5.0)
    seconds = time.perf_counter() - began
    tracemalloc.start()
    journal = Journal(Settings(path))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    journal.close(5.0)
    return seconds, size / MANY


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    figures: dict[str, Callable[[Master], float]] = {
        "map, tasks/s": mapped,
        "submit, tasks/s": submitted,
        "round trip, us": trip,
        "arrays of 1 MB, MB/s": megabytes,
    }
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        print(f"one flush: {flush(folder):.0f} us")
        print(f"{'':22}{'without':>12}{'disk':>12}{'relaxed':>12}{'disk/w':>9}{'relaxed/w':>11}")
        for what, measure in figures.items():
            found: dict[str, list[float]] = {"": [], "disk": [], "relaxed": []}
            for _ in range(repeat):
                for mode, values in found.items():
                    with job(folder if mode else None, mode or "disk") as master:
                        values.append(measure(master))
            without, disk, relaxed = (median(values) for values in found.values())
            print(
                f"{what:22}{without:12,.0f}{disk:12,.0f}{relaxed:12,.0f}"
                f"{disk / without:9.2f}{relaxed / without:11.2f}"
            )
        seconds, size = opened(folder)
        print(f"{MANY:,} outcomes are opened in {seconds:.2f} s, with {size:.0f} bytes each")


if __name__ == "__main__":
    main()
