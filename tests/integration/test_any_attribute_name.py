"""Subclasses of what users subclass may use any attribute name that is not documented."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from masterworker import Master, Worker, current_worker
from support import HANG

if TYPE_CHECKING:
    from integration.crew import Crew

#: What a program may call things, and what parts of ours are or were called.
TEXT = """
abandon attributes batches can_be_found client clients collect core courier data
dead_letters desk end endpoint engine engine_ futures grace handle handlers handles hand
heartbeat host is_over job jobs keeper label_ launcher local_workers manager master name
names needs notice one_by_one options_ outcomes pace parent ports process_id program queue
reconnect registered results_ router serial server shared sleepers states store submission
submitter tasks terminated waiting wait_until workers _closed _desk _end _engine _ended
_handlers _hold _is_ended _job _keeper _label _lock _manager _master _notice _options _pid
_program _queue _results _router _server _sleepers _state _submitter _thread _to _values
_waiting _wake _worker __engine __to
"""
NAMES = TEXT.split()


class Named(Master):
    """Sets them all, before and after the constructor of the base class."""

    def __init__(self, **options: Any) -> None:
        self.name_all("before")
        super().__init__(**options)
        self.name_all("after")

    def name_all(self, value: str) -> None:
        for name in NAMES:
            assert not hasattr(Master, name), name
            setattr(self, name, value)


for _name in NAMES:
    setattr(Named, _name, "of the class")


def test_a_master_with_attributes_of_any_name() -> None:
    """It goes on working, and so does everything that comes from it."""
    with Named(workers=1) as master:
        assert master.submit(math.sqrt, 4.0).result(HANG) == 2.0
        assert list(master.map(abs, range(-3, 0))) == [3, 2, 1]
        futures = [master.options(retries=1).submit(abs, -n) for n in range(3)]
        assert {f.result() for f in master.as_completed(futures, HANG)} == {0, 1, 2}
        with master.share(x=3) as shared:
            assert master.submit(abs, shared.x).result(HANG) == 3
        state = master.store_state(y=1)
        master.delete_state(state)
        assert master.cancel(master.request_task("later"))
        assert next(master.results(return_errors=True))[1] == "later"
        master.launch_workers(1, wait=True)
        assert master.number_of_workers == 2
        assert master.ticket()
        assert master.label in repr(master)
    assert all(getattr(master, name) == "after" for name in NAMES)


class NamedWorker(Worker):
    """The same for a worker."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.name_all("before")
        super().__init__(*args, **options)
        self.name_all("after")

    def name_all(self, value: str) -> None:
        for name in NAMES:
            assert not hasattr(Worker, name), name
            setattr(self, name, value)

    def wants_to_stop(self) -> bool:
        return self.states != "after"

    def do_outer(self, number: int) -> int:
        inner = current_worker()
        assert inner is self
        self.request_task("inner", number)
        return self.retrieve_result("inner", HANG)[2]

    def do_inner(self, number: int) -> int:
        return -number


def test_a_worker_with_attributes_of_any_name(crew: Crew) -> None:
    """Its handlers, and what they ask for."""
    hired = crew.hire(kind=NamedWorker)
    for name in NAMES:
        setattr(hired.worker, name, "after")
    crew.master.request_task("outer", 5)
    assert crew.master.retrieve_result("outer", HANG)[2] == -5
    assert crew.master.submit(abs, -1).result(HANG) == 1
    assert hired.worker.label == crew.label


def test_a_master_whose_label_is_its_own_attribute() -> None:
    """A program may note the label itself: that changes nothing but what it reads."""

    class Own(Master):
        def __init__(self) -> None:
            self.label = "mine"
            super().__init__(serial=True)

    with Own() as master:
        assert master.label == "mine"
        assert master.submit(abs, -1).result() == 1
