"""A job as a pool, for programs that know `multiprocessing.Pool` only."""

from __future__ import annotations

from masterworker.pool.pool import Pool

__all__ = ["Pool"]
