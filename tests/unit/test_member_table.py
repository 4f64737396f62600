"""The processes that are here, without a scheduler."""

from __future__ import annotations

from masterworker.core.filters import TagFilter
from masterworker.core.member import MISSED_HEARTBEATS
from masterworker.core.member_table import REPORT_WITHIN, MemberTable
from masterworker.core.task import State, Task


def busy(table: MemberTable, supervisor: str = "") -> int:
    """A worker with one task in hand."""
    member = table.join("w", TagFilter(None), None, 0.0, supervisor)
    task = Task(1, "a", b"", direct=True, state=State.LEASED)
    task.holder = member.id
    member.leases[1] = task
    return member.id


def test_ids_count_up_and_workers_are_counted() -> None:
    table = MemberTable()
    worker = table.join("one\n  line", TagFilter(None), None, 0.0, "")
    client = table.join("client", None, None, 0.0, "")
    assert (worker.id, client.id, worker.info, table.workers) == (0, 1, "one line", 1)
    table.remove(worker)
    table.remove(client)
    assert (table.workers, table.members) == (0, {})
    assert table.join("next", None, None, 0.0, "").id == 2
    assert not list(table.check())


def test_a_process_without_a_supervisor_has_nothing_to_wait_for() -> None:
    table = MemberTable()
    assert not table.close(table.members[busy(table)], "closed", 0.0)
    assert table.next_deadline() is None


def test_the_word_of_a_supervisor_is_waited_for_with_a_bound() -> None:
    table = MemberTable()
    number = busy(table, "s")
    assert table.close(table.members[number], "closed", 1.0)
    assert table.next_deadline() == 1.0 + REPORT_WITHIN
    assert table.unexplained(1.0) == []
    assert table.unexplained(1.0 + REPORT_WITHIN) == [(number, "closed")]


def test_a_supervisor_that_is_gone_explains_nothing() -> None:
    table = MemberTable()
    number = busy(table, "s")
    table.attended("s", [number], 0.0)
    table.close(table.members[number], "closed", 1.0)
    assert table.unattended("s") == [(number, "closed")]
    assert not table.members[number].supervised
    assert table.supervisors == set()


def test_a_supervisor_speaks_for_its_own_processes_only() -> None:
    table = MemberTable()
    other = table.join("w", TagFilter(None), 1.0, 0.0, "another")
    table.attended("s", [other.id, 99], 5.0)
    assert other.heard == 0.0


def test_silence_has_a_bound_and_is_told_once() -> None:
    table = MemberTable()
    member = table.join("w", TagFilter(None), 0.25, 0.0, "")
    assert table.heard(member.id, 0.1)
    assert not table.heard(99, 0.1)
    bound = 0.1 + 0.25 * MISSED_HEARTBEATS
    assert table.silent(bound - 0.01) == []
    assert table.silent(bound + 0.01) == [member]
    assert table.silent(bound + 0.02) == []


def test_an_item_that_names_another_holder_is_found() -> None:
    table = MemberTable()
    number = busy(table)
    table.members[number].leases[1].holder = 99
    assert list(table.check()) == [("leased to another", 1)]
