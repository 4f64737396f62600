"""A job as an executor, for programs that know `concurrent.futures` only."""

from __future__ import annotations

from masterworker.executor.executor import Executor

__all__ = ["Executor"]
