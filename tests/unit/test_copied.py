"""Values that a program may rely on there being one of: workers have copies, and that is said."""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import random
from typing import TYPE_CHECKING

import numpy as np

from masterworker.data.copied import DRAWS, SHARES, relies_on_being_one

if TYPE_CHECKING:
    from pathlib import Path


def test_memory_that_processes_share(tmp_path: Path) -> None:
    """A mapped file, what `multiprocessing` has for it, and all views of these."""
    mapped = np.memmap(tmp_path / "mapped", dtype="f8", mode="w+", shape=(10,))
    raw = multiprocessing.RawArray("d", 5)
    locked = multiprocessing.Array("d", 5)
    anonymous = np.ndarray((10,), buffer=mmap.mmap(-1, 80))
    for array in (
        mapped,
        mapped[2:5],
        np.asarray(mapped).reshape(2, 5),
        np.frombuffer(raw),
        np.ctypeslib.as_array(raw),
        np.frombuffer(locked.get_obj()),
        anonymous,
        anonymous[::2],
    ):
        assert relies_on_being_one(array) == SHARES


def test_memory_of_one_process(tmp_path: Path) -> None:
    """Ordinary arrays, and maps through which no file is written."""
    np.save(tmp_path / "saved.npy", np.arange(5))
    private = np.load(tmp_path / "saved.npy", mmap_mode="c")
    for array in (
        np.zeros(3),
        np.zeros(3)[1:],
        np.load(tmp_path / "saved.npy", mmap_mode="r"),
        private,
        private[:2],
        np.frombuffer(bytearray(80)),
        np.frombuffer(bytes(80)),
        np.ctypeslib.as_array((ctypes.c_double * 3)()),
    ):
        assert relies_on_being_one(array) == ""


def test_random_generators() -> None:
    """Those with a state of their own, in which each copy begins."""

    class Own(random.Random):
        """A generator of the program."""

    for generator in (
        random.Random(1),
        Own(),
        np.random.default_rng(1),
        np.random.RandomState(1),
    ):
        assert relies_on_being_one(generator) == DRAWS
    for value in (random.SystemRandom(), random, np.random, "text", 5, Own):
        assert relies_on_being_one(value) == ""
