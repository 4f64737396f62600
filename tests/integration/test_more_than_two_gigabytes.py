"""An argument or a result of more than 2 GB, which some peers' headers have no room for."""

from __future__ import annotations

import os

import pytest

from masterworker import Executor, Pool
from support import HANG

#: Bytes: more than a signed number of 32 bits says.
SIZE = (1 << 31) + (1 << 24)
#: What copies on both sides may take.
NEEDED = 6 * SIZE

pytestmark = pytest.mark.alone


def available() -> int:
    """Bytes of memory that can be had."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def data() -> bytes:
    if available() < NEEDED:
        pytest.skip(f"{NEEDED >> 30} GB of memory are not free")
    return bytes(SIZE)


def ends(value: bytes) -> tuple[int, int]:
    return len(value), value[-1]


def test_of_an_executor(data: bytes) -> None:
    """There and back; the next call is as any other."""
    with Executor(1) as executor:
        assert executor.submit(ends, data).result(4 * HANG) == (SIZE, 0)
        result = executor.submit(bytes, SIZE).result(4 * HANG)
        assert (len(result), result[-1]) == (SIZE, 0)
        del result
        assert list(executor.map(abs, [-1])) == [1]


def test_of_a_pool(data: bytes) -> None:
    """Likewise."""
    with Pool(1) as pool:
        assert pool.map(ends, [data]) == [(SIZE, 0)]
        (result,) = pool.imap(bytes, [SIZE])
        assert len(result) == SIZE
