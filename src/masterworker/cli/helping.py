"""What `--help` says of one command: its own options, and examples."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from masterworker.cli import scale_options
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _About(NamedTuple):
    """What is said of a command besides its options."""

    usage: str
    what: str
    #: Its options, as the parser calls their values.
    options: tuple[str, ...]
    examples: tuple[str, ...]


_REACHING: Final = ("master", "wait", "verbose")
_WORKER: Final = _About(
    "LABEL",
    "Execute tasks of a job, in as many processes as you like. SIGTERM lets them finish what they "
    "are doing, Ctrl-C makes them give it back; twice ends them at once.",
    (
        *("number", "max_tasks", "idle_timeout", "memory_limit", "lifetime", "until", "grace"),
        *("initializer", "start_timeout", "preload", "ticket", *_REACHING),
    ),
    (
        "task_manager worker demo -n auto          one worker for each processor",
        "task_manager -w worker demo               wait for the job to begin",
        "task_manager worker --ticket FILE -n 4    a job on another machine",
    ),
)

ABOUT: Final = {
    "show": _About(
        "LABEL",
        "Print how many processes and tasks a job has.",
        ("live", "every", "json", "ticket", *_REACHING),
        (
            "task_manager show demo -v          every process, and the tasks by tag",
            "task_manager show demo --live      until it is over: how far, what fails, who is slow",
            "task_manager show demo --every 5   the same as plain text, for logs",
        ),
    ),
    "web": _About(
        "LABEL",
        "Show a job in a browser, by a process of its own, which ends 10 minutes after the last "
        "viewer of a job that is over. The address that it prints is a secret.",
        ("port", "socket", "open", "host_name", "ticket", *_REACHING),
        (
            "task_manager web demo                    the address, and how to reach it from afar",
            "task_manager web demo --open             in a browser of this machine",
            "task_manager web --ticket FILE --open    a job of another machine",
        ),
    ),
    "list": _About(
        "",
        "Print the labels of all jobs that can be found.",
        ("ended", "json", "verbose"),
        (
            "task_manager list -v         with their addresses",
            "task_manager list --ended    jobs that are gone, of which a record is kept",
        ),
    ),
    "worker": _WORKER,
    "slave": _WORKER,
    "explain": _About(
        "LABEL TASK",
        "Print what has happened to a task, and what it waits for.",
        ("stack", "ticket", *_REACHING),
        (
            "task_manager explain demo sqrt_7",
            "task_manager explain demo sqrt_7 --stack    and where it is at this moment",
        ),
    ),
    "journal": _About(
        "FILE [show | export OUT | check | prune [NEW] |\n"
        "           forget TASK|--failed|--changed | adopt]",
        "Print what the journal of a job holds; write its outcomes as CSV, JSON or Parquet, by the "
        "ending of OUT; check it; write what counts into a new file; let it forget outcomes, so "
        "that the next run executes their tasks again; make one yours that was written with "
        "another key.",
        ("json", "failed", "changed"),
        (
            "task_manager journal sweep.journal          outcomes, runs, versions",
            "task_manager journal sweep.journal prune    make it smaller",
            "task_manager journal sweep.journal export sweep.csv",
            "task_manager journal sweep.journal forget 3fa9c2   a task, by its key in an export",
            "task_manager journal sweep.journal forget --failed",
        ),
    ),
    "replay": _About(
        "LABEL [TASK]",
        "List the failed calls of a job that are kept, or carry one out, here.",
        ("pdb", "stop_first", "clear", "master", "verbose"),
        (
            "task_manager replay demo                 the failed calls that are kept",
            "task_manager replay demo sqrt_7 --pdb    in a debugger, where it fails",
            "task_manager replay --clear              remove those of all jobs",
        ),
    ),
    "ticket": _About(
        "LABEL",
        "Make a line of text with which workers of other machines join a job. It is a secret.",
        ("out", "valid", "observer", "address", "master", "verbose"),
        (
            "task_manager ticket demo --out demo.ticket",
            "task_manager ticket demo | ssh there task_manager worker --ticket -",
        ),
    ),
    "report": _About(
        "LABEL --out FILE",
        "Write what a job is or was into one file: HTML, JSON or CSV, by its ending. Also of a job "
        "that is gone, from its record.",
        ("out", "ticket", *_REACHING),
        (
            "task_manager report demo --out run.html    to look at, and to pass on",
            "task_manager report demo --out run.csv     tags, hosts, workers, failures, spans",
            "task_manager report demo --out run.json    all of the snapshot, and the spans",
        ),
    ),
    "trace": _About(
        "LABEL --out FILE",
        "Write what each worker executed when, as trace events for https://ui.perfetto.dev. Also "
        "of a job that is gone, from its record.",
        ("out", "ticket", *_REACHING),
        ("task_manager trace demo --out run.json",),
    ),
    "metrics": _About(
        "LABEL",
        "Print how a job stands in Prometheus' text format, or write it into a file for a text "
        "file collector.",
        ("out", "ticket", *_REACHING),
        ("task_manager metrics demo --out /var/lib/node_exporter/demo.prom",),
    ),
    "scale": _About(
        "LABEL",
        "Start workers on other machines through ssh, or in a batch system: more as there is work, "
        "none when there is none. Ends with the job, and takes back what waits in the queue. "
        "OPTIONS are those of sbatch, qsub, ...; they are not changed.",
        (*scale_options.NAMES, "number", "address", *_REACHING),
        (
            'task_manager scale demo --slurm "--time=1:00:00 -p cpu -c 8" --min 0 --max 20',
            "task_manager scale demo --ssh hostA*4,hostB*8",
            'task_manager scale demo --sge "-pe smp 4" --setup "module load python" --dry-run',
            "task_manager scale demo --resume      after starts that failed",
        ),
    ),
    "nameserver": _About(
        "",
        "Be a Pyro name server, for programs that look for one. Jobs of one machine, and tickets, "
        "need none.",
        ("host", "port", "verbose"),
        ("task_manager nameserver --port 9090",),
    ),
}


def help_of(command: str, parser: argparse.ArgumentParser) -> str:
    """Return the help for a command.

    Args:
        command: One of `ABOUT`.
        parser: Knows all options.
    """
    about = ABOUT[command]
    own = argparse.ArgumentParser(
        prog=f"task_manager {command}",
        usage=f"task_manager [options] {command} {about.usage}".rstrip(),
        description=about.what,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in about.examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    for action in parser._actions:
        if action.dest in {*about.options, "help"}:
            own._add_action(action)
    return own.format_help()


def command_in(words: Sequence[str], parser: argparse.ArgumentParser) -> str:
    """Return which command a command line means, also one that cannot be read; "" for none.

    Args:
        words: What was typed.
        parser: Knows which options have a value, which may be called like a command.
    """
    rest = iter(words)
    for word in rest:
        if word == "--":
            continue
        if not word.startswith("-") or word == "-":
            return word if word in ABOUT else ""
        if _value_follows(word, parser._option_string_actions):
            next(rest, None)
    return ""


def _value_follows(word: str, known: Mapping[str, argparse.Action]) -> bool:
    """Return whether the next word is the value of an option, or of the last of several letters."""
    if word.startswith("--"):
        meant = [action for name, action in known.items() if name.startswith(word)]
        return any(action.nargs != 0 for action in meant)
    for at, letter in enumerate(word[1:], 2):
        action = known.get(f"-{letter}")
        if action is None or action.nargs != 0:
            return action is not None and at == len(word)
    return False
