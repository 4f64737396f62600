"""Keeping failed calls: they are written, and those that are too many, old or large are removed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import TYPE_CHECKING

import msgpack

from masterworker import failed, failed_limits
from masterworker.errors import UsageError
from masterworker.statefolder import (
    FOLDER,
    changed,
    entered,
    folder_of,
    names_in,
    place_of,
    remove,
    remove_abandoned,
    size_of,
    state_folder,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: What calls refer to is written before them, by other processes, too (seconds).
_FRESH = 60.0


# -- writing --------------------------------------------------------------------------------


def save(label: str, calls: Sequence[failed.Call]) -> None:
    """Write failed calls of a label, and remove those that are too many.

    Raises:
        OSError: The disk is full, or nothing can be written there.
        UsageError: The folder could be changed by others.
    """
    with folder_of(label, make=True) as (base, folder):
        for call in calls:
            _write(folder, call)
        names = names_in(folder)
        kept = sorted(name for name in names if name.endswith(failed.ENDING))
        for name in kept[: -failed_limits.KEPT_CALLS]:
            remove(name, folder)
        _forget_needs(folder, place_of(label))
        remove_abandoned(folder)
        _forget_labels(base)
        _forget_old(base)


def _write(folder: int, call: failed.Call) -> None:
    summary = call.summary
    if call.needs:
        digest = hashlib.sha256("".join(sorted(call.needs)).encode()).hexdigest()[:32]
        summary = summary._replace(needs=digest + failed.NEEDS)
        if not changed(summary.needs, folder):
            _write_file(folder, summary.needs, call.needs)
    _write_file(folder, summary.name, (failed.FORMAT, summary), call[1:-1])


def _write_file(folder: int, name: str, *parts: object) -> None:
    with written(name, folder) as out:
        for part in parts:
            out.write(msgpack.packb(part))


# -- forgetting -----------------------------------------------------------------------------


def clear(label: str | None = None) -> int:
    """Remove all failed calls that are kept. Returns how many.

    Args:
        label: Those of one label; None: of all.

    Raises:
        UsageError: Others could have changed the folder.
    """
    try:
        with entered(state_folder()) as base:
            chosen = names_in(base) if label is None else [place_of(label).parent.name]
            return sum(_forget(base, name) for name in chosen)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise failed.unreadable(error) from None


def tidy() -> None:
    """Remove what is too old."""
    with contextlib.suppress(OSError, UsageError), entered(state_folder()) as base:
        _forget_old(base)


def _forget_old(base: int) -> None:
    """Remove the oldest calls of all labels that are too old, or too large together."""
    kept: list[tuple[str, str, int]] = []
    beside: dict[str, int] = {}
    doomed: dict[str, list[str]] = {}
    too_old = time.time() - failed_limits.KEPT_SECONDS
    for label in names_in(base):
        with contextlib.suppress(OSError, UsageError), _inside(base, label) as folder:
            for name in names_in(folder):
                if not name.endswith(failed.ENDING):
                    beside[label] = beside.get(label, 0) + size_of(name, folder)
                elif changed(name, folder) < too_old:
                    doomed.setdefault(label, []).append(name)
                else:
                    kept.append((name, label, size_of(name, folder)))
    room = failed_limits.KEPT_BYTES
    for number, (name, label, size) in enumerate(sorted(kept, reverse=True)):
        room -= size + beside.pop(label, 0)  # what they share counts with the newest
        if room < 0 and number:
            doomed.setdefault(label, []).append(name)
    for label, names in doomed.items():
        with contextlib.suppress(OSError, UsageError), _inside(base, label) as folder:
            for name in names:
                remove(name, folder)
            _forget_needs(folder, state_folder() / label / FOLDER, since=time.time() - _FRESH)


def _forget_needs(folder: int, place: Path, since: float = float("inf")) -> None:
    """Remove what no call refers to any more, if it was written before some time."""
    names = names_in(folder)
    needs = [name for name in names if name.endswith(failed.NEEDS)]
    wanted = set()
    for name in names if needs else ():
        if name.endswith(failed.ENDING):
            with contextlib.suppress(OSError, UsageError):
                wanted.add(failed.read_in(folder, place / name, whole=False).summary.needs)
    for name in needs:
        if name not in wanted and changed(name, folder) < since:
            remove(name, folder)


def _forget_labels(base: int) -> None:
    """Remove the failed calls of labels that have had none for the longest time."""
    labels = names_in(base)
    if len(labels) <= failed_limits.KEPT_LABELS:
        return
    labels.sort(key=lambda name: changed(f"{name}/{FOLDER}", base))
    for label in labels[: -failed_limits.KEPT_LABELS]:
        _forget(base, label)


def _forget(base: int, label: str) -> int:
    """Remove all calls of a label, whose folder this is. Returns how many there were."""
    number = 0
    with contextlib.suppress(OSError, UsageError):
        with _inside(base, label) as folder:
            for name in names_in(folder):
                number += name.endswith(failed.ENDING)
                remove(name, folder)
        with entered(state_folder() / label, base) as own:
            os.rmdir(FOLDER, dir_fd=own)
        os.rmdir(label, dir_fd=base)
    return number


@contextlib.contextmanager
def _inside(base: int, label: str) -> Iterator[int]:
    place = state_folder() / label / FOLDER
    with entered(place.parent, base) as own, entered(place, own) as folder:
        yield folder
