"""The service of one connection of a guest that may ask for further tasks and store values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.errors import NotAllowedError, NotRegisteredError, UsageError
from masterworker.manager.guest import Guest

if TYPE_CHECKING:
    from masterworker.core.options import Options
    from masterworker.core.task import Payload

#: Bounds of what can be said about a task, as a master has them.
LONGEST, FARTHEST = 1e9, 1_000_000
#: A tag that it asks for is not longer (characters): it is shown to people.
LONGEST_TAG = 200


class Helper(Guest):
    """A `Guest` whose handlers may do what those of trusted workers may, but for ending the job.

    Others unpickle what it asks for, stores and delivers, so whoever was given its ticket is
    trusted with the accounts that this job uses.
    """

    data_only = False

    def _refusal(self, operation: str) -> str:
        return f"a worker with a ticket may not {operation!r}"

    def _do_request(self, client: str, number: int, *args: Any) -> int:
        client = self._name(client)
        process = self._known_as(client)
        _check_tag(args[0])
        _check_options(args[2])
        first: int = self._session._do_request(client, number, *args)
        process.asked(first, len(args[1]))
        return first

    def _do_cancel(self, task_ids: list[int]) -> list[int]:
        if self._process is None or not self._process.has_asked(task_ids):
            raise NotAllowedError("a worker with a ticket may cancel only what it has asked for")
        return self._session._do_cancel(task_ids)

    def _do_collect(
        self,
        client: str,
        number: int,
        member_id: int,
        tag: str | None,
        want: int,
        wait: float,
        lend: int,
    ) -> Any:
        client = self._name(client)
        process = self._known_as(client)
        if self._speaks_for(member_id) is None:
            raise NotRegisteredError(f"process {member_id} is not registered")
        if self._seconds_left() <= 0:  # outcomes for what it has in hand, and nothing new
            lend = wire.NOTHING
        finished, leases = self._session._do_collect(
            client, number, member_id, tag, want, wait, lend
        )
        process.hand(leases)
        return finished, leases

    def _do_put(self, space: str, name: str, value: Payload) -> None:
        _check_space(space)
        self._session._do_put(space, name, value)

    def _do_drop(self, space: str, name: str) -> bool:
        _check_space(space)
        return self._session._do_drop(space, name)

    def _do_put_state(self, client: str, number: int, values: dict[str, Payload]) -> Any:
        client = self._name(client)
        self._known_as(client)
        return self._session._do_put_state(client, number, values)

    def _do_drop_state(self, state_id: int) -> bool:
        return self._session._do_drop_state(state_id)


def _check_space(space: str) -> None:
    if space != wire.DATA:
        raise NotAllowedError(
            f"a worker with a ticket may change stored data, but nothing in {space!r}: others "
            "execute it"
        )


def _check_tag(tag: str) -> None:
    """Refuse what would play tricks on the terminals where it is shown.

    Raises:
        UsageError: It cannot be printed, or is too long.
    """
    if len(tag) > LONGEST_TAG or not tag.isprintable():
        raise UsageError(
            f"a worker with a ticket may ask for tags of at most {LONGEST_TAG} characters that can "
            f"be printed, not for {tag[:50]!r}"
        )


def _check_options(options: Options | None) -> None:
    """Refuse what would harm whoever executes the task.

    Raises:
        UsageError: A value is out of its bounds.
    """
    if options is None:
        return
    timeout, retries, delay, priority, _, _ = options
    if not (
        (timeout is None or 0 < timeout < LONGEST)
        and 0 <= retries <= FARTHEST
        and 0 <= delay < LONGEST
        and -FARTHEST <= priority <= FARTHEST
    ):
        raise UsageError(f"a task cannot have these options: {options!r}")
