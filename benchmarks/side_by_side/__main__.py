"""Execute the programs with each library; see `--help`."""

import argparse
import ast
import datetime as dt
import importlib.metadata
import importlib.util
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.side_by_side.pools import LIBRARIES, NEEDS, VARIABLE

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
#: A program may take so long (seconds).
LONGEST = 120


def about(program):
    """Return what a program is about, what it is to print, and the modules that it needs."""
    tree = ast.parse(program.read_text())
    told = {
        ast.unparse(node.targets[0]): node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
    }
    told = {name: ast.literal_eval(told[name]) for name in ("RIGHT", "REQUIRES") if name in told}
    sentence = " ".join(ast.get_docstring(tree).split())
    return sentence, told["RIGHT"], told.get("REQUIRES", ())


def missing(modules):
    """Return those modules that are not installed."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def execute(program, library):
    """Return what came of a program: "right", "wrong: ...", or why there is no value."""
    _, right, requires = about(program)
    if lacking := missing((NEEDS[library][0], *requires)):
        return f"skipped: {', '.join(lacking)} is not installed"
    environment = {**os.environ, VARIABLE: library, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, program],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return f"not done after {LONGEST} s"
    lines = out.splitlines()
    if process.returncode == 0 and lines:
        return "right" if lines[-1] == repr(right) else f"wrong: {lines[-1]}"
    return f"error: {_reason(err)}"


def _reason(text):
    """Return the line of a traceback that says what was the matter."""
    lines = [line.strip() for line in text.splitlines() if line[:1].isalpha() and ": " in line]
    return lines[-1] if lines else "it ended without a value"


def _cell(text):
    text = text.replace("|", "\\|").replace("<", "&lt;")
    if text == "right":
        return text
    return f"**{text[:90]}…**" if len(text) > 90 else f"**{text}**"


def _version(library):
    module = NEEDS[library][0]
    if module == "multiprocessing":
        return f"Python {platform.python_version()}"
    return f"{module} {importlib.metadata.version(module)}"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side")
    parser.add_argument("programs", nargs="*", help="names of programs; none: all")
    parser.add_argument("--libraries", default=",".join(LIBRARIES), help=", ".join(LIBRARIES))
    parser.add_argument("--times", type=int, default=1, help="execute each so many times")
    options = parser.parse_args()
    chosen = [PROGRAMS / f"{name}.py" for name in options.programs] or sorted(PROGRAMS.glob("*.py"))
    libraries = options.libraries.split(",")
    present = [each for each in libraries if not missing(NEEDS[each][:1])]
    print(f"{dt.datetime.now(dt.UTC).date()}; {', '.join(map(_version, present))}\n")
    print("| program |", " | ".join(NEEDS[each][1] for each in libraries), "|")
    print("|---" * (1 + len(libraries)), "|", sep="")
    for program in chosen:
        found = []
        for library in libraries:
            all_found = {execute(program, library): None for _ in range(options.times)}
            found.append(_cell(" / ".join(all_found)))
        print(f"| {program.stem}: {about(program)[0]} |", " | ".join(found), "|", flush=True)


if __name__ == "__main__":
    main()
