"""`task_manager journal FILE`: what is in a journal, and what can be done with it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from masterworker.cli import exit_codes
from masterworker.data.record import printable
from masterworker.errors import JournalError, UsageError
from masterworker.journal import standins, upkeep
from masterworker.journal.export import export
from masterworker.journal.forgetting import Wanted, forget
from masterworker.journal.format import key_of
from masterworker.security.credentials import authority
from masterworker.status.text import counted
from masterworker.taskid import shown_tag

if TYPE_CHECKING:
    import argparse


def run(file: str, options: argparse.Namespace) -> int:
    """Carry out what is said after the file."""
    try:
        return _run(file, options)
    except JournalError as error:
        text, path = str(error), str(Path(file).absolute())
        if path in text:
            raise
        raise JournalError(f"{path}: {text}") from None


def _run(file: str, options: argparse.Namespace) -> int:
    action, *more = options.words[2:] or ["show"]
    path, key = Path(file).absolute(), key_of(authority())
    if action != "forget" and (options.failed or options.changed):
        raise UsageError("--failed and --changed say what is to be forgotten: journal FILE forget")
    if action == "show" and not more:
        return _show(path, key, as_json=options.json)
    if action == "check" and not more:
        return _check(path, key)
    if action == "prune" and len(more) <= 1:
        before, after = upkeep.prune(path, key, Path(more[0]).absolute() if more else None)
        print(f"{before / 1e6:.1f} MB became {after / 1e6:.1f} MB in {more[0] if more else file}")
        return exit_codes.OK
    if action == "export" and len(more) == 1:
        return _export(path, key, more[0])
    if action == "forget":
        return _forget(path, key, options, more)
    if action == "adopt" and not more:
        return _adopt(path, key)
    raise UsageError(
        "say what to do: journal FILE [show | export OUT | check | prune [NEW] | "
        "forget TASK|--failed|--changed | adopt]"
    )


def _show(path: Path, key: bytes, *, as_json: bool) -> int:
    found = upkeep.count(path, key)
    if as_json:
        entry = {
            "outcomes": sum(found.tags.values()),
            "bytes": found.size,
            "complete": found.ended,
            "kinds": dict(found.kinds),
            "tags": {shown_tag(tag): number for tag, number in found.tags.items()},
            "runs": [
                {"when": run.when, "host": run.host, "pid": run.pid, "versions": run.versions}
                for run in found.runs
            ],
        }
        print(json.dumps(entry, indent=2))
        return exit_codes.OK
    state = "the last ended in good order" if found.ended else "the last goes on, or was killed"
    runs = counted(len(found.runs), "run")
    print(f"{printable(str(path))}: {found.size / 1e6:.1f} MB, {runs} ({state})")
    for kind, number in found.kinds.items():
        print(f"  {number} {kind}")
    for tag, number in sorted(found.tags.items()):
        print(f"    {printable(shown_tag(tag))}: {number}")
    for began in found.runs[-5:]:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(began.when))
        versions = ", ".join(f"{name} {each}" for name, each in began.versions.items())
        print(f"  run of {when} on {printable(began.host)}, process {began.pid}; {versions}")
    return exit_codes.OK


def _check(path: Path, key: bytes) -> int:
    found = upkeep.count(path, key)
    if found.whole == found.size:
        print(f"whole: {counted(sum(found.tags.values()), 'outcome')}")
        return exit_codes.OK
    if not found.later:
        left = found.size - found.whole
        print(f"the last {left:,} bytes are not whole, as after a crash; a master cuts them off")
        return exit_codes.OK
    print(
        f"damaged at byte {found.whole:,}; {counted(found.later, 'whole group')} after that. "
        f"`prune NEW` saves {counted(sum(found.tags.values()), 'outcome')} in a new file"
    )
    return exit_codes.FAILED


def _export(path: Path, key: bytes, out: str) -> int:
    # Classes of values may be in modules that lie here, as they do for `python -m`.
    sys.path.append(str(Path.cwd()))
    standins.put_in_place()
    number = export(path, key, Path(out).absolute())
    print(f"{counted(number, 'outcome')} in {printable(out)}")
    return exit_codes.OK


def _forget(path: Path, key: bytes, options: argparse.Namespace, more: list[str]) -> int:
    if len(more) + bool(options.failed) + bool(options.changed) != 1:
        raise UsageError("say what is to be forgotten: a task, --failed, or --changed")
    wanted = Wanted("".join(more), bool(options.failed), bool(options.changed))
    number = forget(path, key, wanted)
    print(f"{counted(number, 'outcome')} forgotten; the next run executes what it asks for of them")
    return exit_codes.OK


def _adopt(path: Path, key: bytes) -> int:
    print(
        f"{printable(str(path))} was written with another key. Results in it are unpickled, which "
        "can execute anything: adopt it only if you trust where it is from."
    )
    print("Adopt it? Type yes: ", end="", flush=True)
    if sys.stdin.readline().strip() != "yes":
        print("It stays as it is.")
        return exit_codes.FAILED
    upkeep.adopt(path, key)
    return exit_codes.OK
