"""From outcomes to the records of them, with what their parameters were."""

from __future__ import annotations

import time
from itertools import groupby
from typing import TYPE_CHECKING, Final

from masterworker.core.chunks import Chunk, weight
from masterworker.core.task import Large, ids_of
from masterworker.data.chunks import columns_alone
from masterworker.data.items import is_single, part_of
from masterworker.journal.records import Done

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from masterworker.core.task import Finished, Payload, Payloads
    from masterworker.journal.aside import LargeFiles
    from masterworker.journal.records import Aside, Entry

#: Parameters with more bytes than this are not kept: they are for people, and for `export`.
MOST_ASKED: Final = 4096


def weight_of(finished: Sequence[Finished]) -> int:
    """Return how many bytes have to be written, about."""
    return sum([weight(done.payloads) for done in finished])


class Recorder:
    """Makes the records of outcomes; in the writer's thread.

    Args:
        keys: The keys of tasks that are under way, by their ids.
        large: Where large payloads are written.
    """

    def __init__(self, keys: Mapping[int, bytes], large: LargeFiles) -> None:
        self._keys, self._large = keys, large

    def records(self, finished: Sequence[Finished], parameters: Sequence[Payloads]) -> list[Entry]:
        """Make records of outcomes. Single ones that are alike are one.

        Args:
            finished: The outcomes.
            parameters: What the parameters of each were.
        """
        known, now = self._keys, time.time()
        records: list[Entry] = []
        pairs = zip(finished, parameters, strict=True)
        asked_for = [pair for pair in pairs if pair[0].task_id in known]
        for about, some in groupby(asked_for, _about):
            tag, kind, worker, attempts, is_chunk = about
            if is_chunk:
                for done, asked in some:
                    keys = b"".join([known[each] for each in ids_of(done)])
                    payloads: list[bytes | Aside] | Chunk = done.payloads  # type: ignore[assignment]
                    its = _asked(asked)
                    records.append(Done(keys, tag, kind, payloads, worker, attempts, now, its))
                continue
            singles: list[bytes | Aside] = []
            all_asked: list[bytes] = []
            parts: list[bytes] = []
            for done, asked in some:
                parts += [known[each] for each in ids_of(done)]
                singles += map(self._aside, done.payloads)  # type: ignore[arg-type]
                all_asked += _each_asked(asked)
            joined = b"".join(parts)
            records.append(Done(joined, tag, kind, singles, worker, attempts, now, all_asked))
        return records

    def _aside(self, payload: Payload) -> bytes | Aside:
        if isinstance(payload, Large):
            return self._large.write(payload)
        return payload


def _about(pair: tuple[Finished, Payloads]) -> tuple[str, int, str, int, bool]:
    """Return what outcomes in one record have in common."""
    done = pair[0]
    return done.tag, done.kind, done.worker, done.attempts, isinstance(done.payloads, Chunk)


def _asked(parameters: Payloads) -> list[bytes] | bytes:
    """Return what is kept of the parameters of calls whose results are one."""
    return columns_alone(parameters) if isinstance(parameters, Chunk) else _each_asked(parameters)


def _each_asked(parameters: Payloads) -> list[bytes]:
    """Return what is kept of the parameters of each call."""
    if isinstance(parameters, Chunk):
        return [
            columns_alone(Chunk(parameters.data, at, 1))
            for at in range(parameters.at, parameters.at + parameters.number)
        ]
    return [_one_asked(each) for each in parameters]


def _one_asked(payload: Payload) -> bytes:
    if isinstance(payload, Large):
        return b""
    if is_single(payload):  # it has left its chunk, and has all of that with it
        payload = columns_alone(part_of(payload))
    return payload if len(payload) <= MOST_ASKED else b""
