"""One engine as one job uses it: what the parts of the master's side have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

# Loaded before an engine forks: a child that is made while another thread loads it waits for ever.
from masterworker.data import byvalue as _loaded  # noqa: F401
from masterworker.engine import parcel
from masterworker.engine.adapters.base import Died, Verdict, say
from masterworker.engine.elsewhere import Call
from masterworker.engine.parcel import Answer, Order
from masterworker.engine.shipping import Shipping
from masterworker.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.task import Lease
    from masterworker.engine.adapters.base import Adapter
    from masterworker.engine.opening import Engine
    from masterworker.engine.parcel import Known
    from masterworker.manager import Manager

#: What the engine is to call; there it may lack all of ours.
_BUNDLE: Final = Call("masterworker_bundle", "masterworker.engine.bundle", "carry_out")
_APART: Final = Call("masterworker_bundle", "masterworker.engine.child", "carry_out_apart")


class Use:
    """An engine that has been reached. For one thread.

    Args:
        engine: How it is to be used.
        adapter: Speaks to it.
        manager: The task manager of the job.
        label: The label of the job.
    """

    def __init__(self, engine: Engine, adapter: Adapter, manager: Manager, label: str) -> None:
        self.engine, self.adapter, self.manager, self._label = engine, adapter, manager, label
        self._shipping = Shipping(manager, adapter)
        #: Bundles are carried out in children of its processes.
        self.apart = adapter.apart if engine.apart is None else engine.apart
        self.apart = self.apart and not adapter.in_process
        #: How many slots it has at this moment.
        self.number = 0
        #: Digest of the program that its processes execute.
        self.program = ""
        #: What they can execute; None: that is not known.
        self.tags: list[str] | None = None
        #: Nothing more is executed: the job is over, or the engine is gone.
        self.is_over = False
        #: Tasks are much shorter than a bundle, so one is kept ready for each slot.
        self.is_short = False

    def send(
        self,
        leases: list[Lease],
        member_id: int,
        missing: Sequence[Known],
        done: Callable[[Any], None],
    ) -> Any:
        """Give a bundle to the engine. Returns its future.

        Args:
            leases: What is to be executed.
            member_id: Of the lane.
            missing: Values that have not been there.
            done: Called with the future when it is done, in any thread.
        """
        known, shipped, values = self._shipping.pack(missing)
        order = Order(
            *(self.manager.instance, self._label, member_id, leases),
            *(self.engine.bundle_seconds, self.program, known, shipped),
        )
        head, large = (order, []) if self.adapter.in_process else parcel.write(order)
        try:
            call = _APART if self.apart else _BUNDLE
            future = self.adapter.send(call, (parcel.VERSIONS, head, large), values)
        except Exception as error:
            future = _Failed(error)
        future.add_done_callback(done)
        return future

    def outcome(self, future: Any) -> Answer | Verdict:
        """Return what a future has brought, or what has become of its bundle."""
        try:
            found = future.result()
            if isinstance(found, Answer):
                return found
            if isinstance(found, str):
                return Answer("", refusal=found)
            if isinstance(found[0], str):
                return Died(found[1])
            return parcel.read(Answer, *found)
        except (KeyboardInterrupt, SystemExit) as error:
            return Died(say(error))
        except BaseException as error:  # engines have such ones, for what was cancelled
            return self.adapter.judge(error)

    def error(self, said: str) -> EngineError:
        """Return the error of a job whose engine cannot go on."""
        census = self.manager.census()
        left = sum(census.waiting.values()) + sum(census.running.values())
        many = " (1 task is left)" if left == 1 else f" ({left} tasks are left)" if left else ""
        return EngineError(f"{self.adapter.name} cannot go on: {said}{many}")

    def close(self) -> None:
        """Let go of the engine, and of all values that were brought near to it."""
        self._shipping.close()
        self.adapter.close()


class _Failed:
    """In the place of a future, where the engine has taken nothing.

    Args:
        error: What it has raised.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def add_done_callback(self, done: Callable[[Any], None]) -> None:
        """Call it at once."""
        done(self)

    def cancel(self) -> bool:
        """Return that it is done."""
        return False

    def result(self) -> Any:
        """Raise what the engine has raised."""
        raise self._error
