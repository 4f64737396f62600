"""The command of a launched worker says all that its supervisor knows, and nothing else is one."""

from __future__ import annotations

import os

import pytest

from masterworker.launch.command import Order, WorkerLimits, is_order, read_order, worker_command
from masterworker.launch.spec import Spec

ALL = WorkerLimits(3, 2.5, 12345.678901234, "package.module:make=it")


@pytest.mark.parametrize(
    ("spec", "ticket_fd", "order"),
    [
        (Spec("demo", None, {}), None, Order("demo", os.getpid(), 7)),
        (
            Spec("--a=b --", "lab3:7766", {}, ALL, None, verbose=True, socket="/run/a=b/x.sock"),
            9,
            Order("--a=b --", os.getpid(), 7, "lab3:7766", "/run/a=b/x.sock", 9, ALL, verbose=True),
        ),
    ],
)
def test_what_is_written_is_read(spec: Spec, ticket_fd: int | None, order: Order) -> None:
    words = worker_command(spec, 7, ticket_fd)[4:]
    assert is_order(words)
    assert read_order(words) == order


@pytest.mark.parametrize(
    "words", [[], ["worker"], ["worker", "demo"], ["worker", "--launched", "--"], ["show", "x"]]
)
def test_what_users_write_is_no_order(words: list[str]) -> None:
    assert not is_order(words)


@pytest.mark.parametrize(
    "words",
    [
        ["--launched-by=1"],
        ["--launched-by=1", "demo"],
        ["--launched-by=x", "--", "demo"],
        ["--launched-by=1", "--supervised=", "--", "demo"],
        ["--launched-by=1", "--other=1", "--", "demo"],
        ["--launched-by=1", "--deadline=soon", "--", "demo"],
    ],
)
def test_nonsense_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError):
        read_order(["worker", *words])
