"""Reads the command line of `task_manager`, and turns every error into one line and a number."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import NoReturn

from masterworker import errors
from masterworker.cli import exit_codes, listing, show, work
from masterworker.version import __version__

COMMANDS = ("show", "list", "slave", "worker")

EPILOG = """\
commands:
  show LABEL    tell how many processes and tasks a job has
  list          tell the labels of all jobs that can be found
  slave LABEL   execute tasks of a job (also: worker LABEL)

A lone LABEL means: show LABEL.

examples:
  task_manager slave demo               execute tasks of the job "demo"
  task_manager -w slave demo            the same, and wait for the job to begin
  task_manager show demo -v             every process, and the tasks by tag
  task_manager -m localhost show demo   a job whose master has no name server

exit status:
  0 all went well           4 the master was there, and is gone
  1 the slave code failed   5 the master refuses this worker (versions)
  2 wrong command line      6 the master has stored no slave code
  3 no such label or host   130 ended by Ctrl-C
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong, in one line."""
        self.exit(exit_codes.USAGE, f"task_manager: {message} (see: task_manager --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="task_manager",
        usage="task_manager [options] show LABEL | list | slave LABEL | worker LABEL",
        description="Look at master-worker jobs, and execute tasks for them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument(
        "-m", "--master", metavar="HOST[:PORT]", help="where the master is, without a name server"
    )
    parser.add_argument("-w", "--wait", action="store_true", help="wait for the master to appear")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell more")
    parser.add_argument("--json", action="store_true", help="show and list: print JSON")
    parser.add_argument("--version", action="version", version=f"masterworker {__version__}")
    parser.add_argument("--launched-by", type=int, metavar="PID", help=argparse.SUPPRESS)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command line. Returns the exit status."""
    parser = _parser()
    options = parser.parse_intermixed_args(arguments)
    words = options.words
    if not words:
        parser.error("say what to do: show LABEL, list, or slave LABEL")
    if len(words) == 1 and words[0] not in COMMANDS:
        words = ["show", *words]
    command, *rest = words
    if command not in COMMANDS:
        parser.error(f"unknown command {command!r}: there are show, list, slave")
    if len(rest) != (command != "list"):
        wanted = "no label" if command == "list" else "one label"
        parser.error(f"{command} takes {wanted}, not {len(rest)} arguments")
    _show_log(logging.INFO if options.verbose else logging.WARNING)
    try:
        if command == "list":
            return listing.run(verbose=options.verbose, as_json=options.json)
        if command == "show":
            return show.run(
                rest[0],
                options.master,
                wait=options.wait,
                verbose=options.verbose,
                as_json=options.json,
            )
        return work.run(rest[0], options.master, wait=options.wait, launched_by=options.launched_by)
    except errors.MasterworkerError as error:
        print(f"task_manager: {_one_line(error)}", file=sys.stderr)
        return _status(error)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough, as in: show demo | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.OK


def _show_log(level: int) -> None:
    """Show our own log on stderr; what other packages log is not ours to show."""
    ours = logging.getLogger("masterworker")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    ours.addHandler(handler)
    ours.setLevel(level)
    ours.propagate = False


def _status(error: errors.MasterworkerError) -> int:
    table: tuple[tuple[type[errors.MasterworkerError], int], ...] = (
        (work.NoCodeError, exit_codes.NO_CODE),
        (work.MasterGoneError, exit_codes.MASTER_GONE),
        (errors.RejectedError, exit_codes.REJECTED),
        (errors.TransportError, exit_codes.NOT_FOUND),
        (errors.UsageError, exit_codes.USAGE),
    )
    return next((status for kind, status in table if isinstance(error, kind)), exit_codes.FAILED)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def run() -> NoReturn:
    """Be the program `task_manager`."""
    sys.exit(main())
