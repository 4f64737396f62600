"""Reads the command line of `task_manager`, and turns every error into one line and a number."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from importlib import import_module
from typing import Final, NoReturn

from masterworker import errors
from masterworker.cli import exit_codes, scale_options
from masterworker.cli.helping import command_in, help_of
from masterworker.cli.stderr import handed_over, report, show_log, without_tickets
from masterworker.version import __version__

#: Where each command is.
MODULES: Final = {
    "show": "show",
    "web": "web",
    "list": "listing",
    "slave": "worker",
    "worker": "worker",
    "explain": "explain",
    "replay": "replay",
    "ticket": "ticket",
    "nameserver": "nameserver",
    "journal": "journal",
    "report": "report",
    "trace": "trace",
    "metrics": "metrics",
    "scale": "scale",
}
COMMANDS: Final = tuple(MODULES)
#: These execute code of users, whose errors are not of what is printed here.
EXECUTING: Final = {"slave", "worker", "replay"}
#: There is no room for what is printed.
FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: How many words may follow: the label, then a task.
WORDS = {"list": (0, 0, "no label"), "explain": (2, 2, "a label and a task")}
WORDS |= {"journal": (1, 3, "a file, and what to do with it")}
WORDS |= {"replay": (1, 2, "a label, and perhaps a task"), "nameserver": (0, 0, "no label")}

EPILOG = """\
commands:
  show LABEL    print how many processes and tasks a job has (--live: until it is over)
  web LABEL     show a job in a browser
  report LABEL  write what a job is or was into a file (--out)
  trace LABEL   write which worker executed what when, for Perfetto (--out)
  metrics LABEL print how a job stands, for Prometheus
  list          print the labels of all jobs that can be found (--ended: that are gone)
  slave LABEL   execute tasks of a job (also: worker LABEL)
  explain LABEL TASK    print what has happened to a task, and what it waits for
  replay LABEL          list the failed calls of a job that are kept
  replay LABEL TASK     carry out the saved call of a failed task, here
  scale LABEL           start workers by ssh or in a batch system, as many as it needs
  ticket LABEL          make a line with which workers of other machines join
  nameserver            be a Pyro name server
  journal FILE          print what a journal holds (also: export, forget, check,
                        prune, adopt)

A lone LABEL means: show LABEL. SIGTERM lets workers finish what they are doing,
Ctrl-C makes them give it back; twice ends them at once.

examples:
  task_manager slave demo               execute tasks of the job "demo"
  task_manager -w slave demo            the same, and wait for the job to begin
  task_manager worker demo -n auto      one worker for each processor
  task_manager show demo -v             every process, and the tasks by tag
  task_manager show demo --live         how far, when done, what fails, who is slow
  task_manager web demo --open          the same in a browser
  task_manager -m localhost show demo   a job whose master has no name server
  task_manager ticket demo --out t      let another machine take part: copy the file t
  task_manager worker --ticket t -n 4   there, execute tasks of that job
  task_manager scale demo --slurm "-c 8 --time=1:00:00" --max 20
  task_manager scale demo --ssh hostA*4,hostB*8

exit status:
  0 all went well           4 the master was there, and is gone
  1 the slave code failed   5 the master refuses this worker (versions)
  2 wrong command line      6 the master has stored no slave code
  3 no such label or host   7 a key or ticket is not accepted
                            130 ended by Ctrl-C
"""


class _Parser(argparse.ArgumentParser):
    #: What is being read.
    arguments: list[str]

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, in one line."""
        text, command = without_tickets(message), command_in(self.arguments, self)
        see = f"task_manager {command} --help" if command else "task_manager --help"
        self.exit(exit_codes.USAGE, f"task_manager: {text} (see: {see})\n")


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="task_manager",
        usage="task_manager [options] show LABEL | web LABEL | list | slave LABEL |\n"
        "                              worker LABEL | explain LABEL TASK | replay LABEL [TASK] |\n"
        "                              scale LABEL | ticket LABEL | nameserver |\n"
        "                              journal FILE | report LABEL | trace LABEL | metrics LABEL",
        description="Look at master-worker jobs, and execute tasks for them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.arguments = arguments
    text = "show this, or what concerns the command"
    parser.add_argument("-h", "--help", action="store_true", help=text)
    parser.add_argument("words", nargs="*", metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument(
        "-m", "--master", metavar="HOST[:PORT]", help="where the master is, without a name server"
    )
    parser.add_argument("-w", "--wait", action="store_true", help="wait for the master to appear")
    parser.add_argument("-v", "--verbose", action="store_true", help="print more")
    parser.add_argument("--json", action="store_true", help="show and list: print JSON")
    parser.add_argument("--version", action="store_true", help="print the version")
    add = parser.add_argument_group("options of show and list").add_argument
    add("--live", action="store_true", default=None, help="show the job until it is over")
    add("--every", type=_pause, metavar="S", help="the same as plain text, every S seconds")
    add("--ended", action="store_true", default=None, help="list: jobs that are gone")
    add = parser.add_argument_group("options of web").add_argument
    add("--socket", metavar="PATH", help="a private socket in the place of a port")
    add("--open", action="store_true", default=None, help="open it in a browser of this machine")
    text = "a further name of the page, as a proxy calls it"
    add("--host-name", metavar="NAME", action="append", help=text)
    add("--behind", choices=("told", "hidden"), help=argparse.SUPPRESS)
    _add_worker_options(parser.add_argument_group("options of slave and worker"))
    add = parser.add_argument_group("options of replay").add_argument
    add("--pdb", action="store_true", help="debug an exception where it was raised")
    add("--break", action="store_true", dest="stop_first", help="stop at the first line")
    add("--clear", action="store_true", help="remove the failed calls, of LABEL or of all jobs")
    text = "explain: what the worker that executes it is doing at this moment"
    parser.add_argument("--stack", action="store_true", default=None, help=text)
    add = parser.add_argument_group("options of journal").add_argument
    add("--failed", action="store_true", default=None, help="forget: what is no result")
    add("--changed", action="store_true", default=None, help="forget: what other code computed")
    scale_options.add_to(parser)
    _add_reaching_options(parser)
    parser.add_argument("--ticket-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lifeline", action="store_true", help=argparse.SUPPRESS)
    return parser


def _pause(text: str) -> float:
    """Read a number of seconds between two updates."""
    seconds = float(text)
    if not 0.1 <= seconds <= 1e6:
        raise argparse.ArgumentTypeError(f"0.1 or more seconds, not {text}")
    return seconds


def _add_worker_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-n", "--number", metavar="N", help="number of workers, or: auto (default: 1)")
    add("--max-tasks", type=int, metavar="N", help="replace a process after N tasks")
    add("--idle-timeout", type=float, metavar="S", help="leave after S seconds without a task")
    add("--memory-limit", metavar="SIZE", help="kill a worker that has more memory, as 500M")
    add("--lifetime", type=float, metavar="S", help="leave after S seconds")
    add("--until", metavar="TIME", help="leave at a time, as 14:30; auto: when a batch job ends")
    add("--grace", type=float, metavar="S", help="after SIGTERM, finish within S s (default: 10)")
    add("--initializer", metavar="MODULE:FUNCTION", help="what each process calls first")
    add("--start-timeout", type=float, metavar="S", help="end a process not ready after S seconds")
    add("--preload", metavar="MODULES", help="libraries that workers have from the start: a,b")


def _add_reaching_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ticket", metavar="FILE", help="join by this ticket (a file; - for standard input)"
    )
    add = parser.add_argument_group("options of ticket, nameserver and web").add_argument
    text = "ticket: write it to this new file, for you alone; report, trace, metrics: to this one"
    add("--out", metavar="FILE", help=text)
    add("--valid", metavar="TIME", help="ticket: time until it expires, as 12h or 7d (default: 7d)")
    add("--observer", action="store_true", default=None, help="ticket: to look on, not to work")
    add("--address", metavar="HOST[:PORT]", action="append", help="ticket: where the master is")
    add("--host", help="nameserver: listen at this address (default: localhost)")
    add("--port", type=int, help="nameserver (default: 9090), web: its port")


#: Options that only some commands have.
_OF_WORKERS = ("max_tasks", "idle_timeout", "memory_limit", "lifetime", "until", "grace")
OPTIONS: Final = {
    ("slave", "worker"): (*_OF_WORKERS, "initializer", "start_timeout", "preload"),
    ("slave", "worker", "scale"): ("number",),
    ("ticket", "scale"): ("address",),
    ("ticket",): ("valid", "observer"),
    ("ticket", "report", "trace", "metrics"): ("out",),
    ("scale",): scale_options.NAMES,
    ("nameserver",): ("host",),
    ("nameserver", "web"): ("port",),
    ("web",): ("socket", "open", "host_name", "behind"),
    ("journal",): ("failed", "changed"),
    ("show",): ("live", "every"),
    ("list",): ("ended",),
    ("explain",): ("stack",),
    ("slave", "worker", "show", "web", "explain", "report", "trace", "metrics"): ("ticket",),
}


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command line. Returns the exit status."""
    arguments = scale_options.joined(sys.argv[1:] if arguments is None else arguments)
    parser = _parser(arguments)
    options = parser.parse_intermixed_args(arguments)
    about = _about(parser, options)
    command, label = ("", "") if about else _command(parser, options)
    show_log(logging.INFO if options.verbose else logging.WARNING)
    try:
        if about:
            print(about, end="", flush=True)
            return exit_codes.OK
        if _has_ticket(options):
            label = _use_ticket(options, label)
        return _carry_out(command, label, options)
    except errors.MasterworkerError as error:
        return report(error)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough, as in: show demo | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.OK
    except OSError as error:
        if command in EXECUTING or error.errno not in FULL or sys.stdout is None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return report(errors.UsageError(f"what is printed cannot be written: {error.strerror}"))


def _about(parser: argparse.ArgumentParser, options: argparse.Namespace) -> str:
    """Return the help or the version, if one is asked for; else ""."""
    if options.help:
        command = command_in(options.words, parser)
        return help_of(command, parser) if command else parser.format_help()
    return f"masterworker {__version__}\n" if options.version else ""


def _command(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[str, str]:
    """Return the command and the label ("" where the command takes none)."""
    words = options.words
    if not words:
        parser.error("say what to do: show LABEL, list, or slave LABEL")
    if len(words) == 1 and words[0] not in COMMANDS:
        words = ["show", *words]
    command, *rest = words
    if command not in COMMANDS:
        parser.error(f"unknown command {command[:50]!r}: there are {', '.join(COMMANDS)}")
    least, most, wanted = WORDS.get(command, (1, 1, "one label"))
    if options.clear and command == "replay":
        least, most, wanted = 0, 1, "at most one label with --clear"
    if _has_ticket(options):  # which holds the label, too
        least -= 1
    if not least <= len(rest) <= most:
        parser.error(f"{command} takes {wanted}, not {len(rest)} arguments")
    for commands, names in OPTIONS.items():
        for name in names:
            if command not in commands and getattr(options, name) is not None:
                text = " and ".join(commands)
                parser.error(f"--{name.replace('_', '-')} is an option of {text} only")
    if command != "replay" and (options.pdb or options.stop_first or options.clear):
        parser.error("--pdb, --break and --clear are options of replay only")
    if not rest or (_has_ticket(options) and len(rest) < most):
        return command, ""
    return command, rest[0]


def _has_ticket(options: argparse.Namespace) -> bool:
    return options.ticket is not None or options.ticket_fd is not None


def _use_ticket(options: argparse.Namespace, label: str) -> str:
    """Let this process join by a ticket. Returns the label, which the ticket knows."""
    from masterworker.security import ticket

    if options.ticket_fd is not None:
        given = ticket.parse(handed_over(options.ticket_fd))
    else:
        given = ticket.read(options.ticket)
    if label not in {"", given.label}:
        raise errors.UsageError(f"this ticket is for the job {given.label!r}, not for {label!r}")
    ticket.hold(given)
    return given.label


def _carry_out(command: str, label: str, options: argparse.Namespace) -> int:
    """Import and run a command, and no other one."""
    status: int = import_module(f"masterworker.cli.{MODULES[command]}").run(label, options)
    if sys.stdout is not None:
        sys.stdout.flush()
    return status


def run() -> NoReturn:
    """Be the program `task_manager`."""
    sys.exit(main())
