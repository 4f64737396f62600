"""Put other versions of NumPy, and pandas, beside the packages of this environment.

    .venv/bin/python tests/journal/other_numpys.py

They are for `test_stable_keys.py`, which executes nothing but digests with them: an older NumPy for
this Python, and a NumPy for the other Python that `tests/security/hosts/other_python.py` makes.
What is there already is left as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from security.hosts import other_python

#: Of each version that keys are compared for: what it is called, and what is installed.
OLD, NEW, OTHER = "old", "new", "other"
PANDAS = "pandas>=3.0,<4"
WANTED = {OLD: ["numpy>=1.26,<2"], NEW: ["numpy>=2.3", PANDAS], OTHER: ["numpy>=2.3", PANDAS]}
#: No command takes so long (seconds).
LONG = 600.0


def folder(name: str) -> Path:
    """Where a version is."""
    return Path(sys.prefix, "other-numpys", name)


def is_made(name: str) -> bool:
    """Is it there, and is it what is wanted?"""
    stamp = folder(name) / "made"
    return stamp.is_file() and stamp.read_text() == _stamp(name)


def python(name: str) -> Path:
    """What is to execute it."""
    if name != OTHER:
        return Path(sys.executable)
    return other_python.command(other_python.usual_folder())


def make(name: str) -> None:
    """Install a version, unless it is there."""
    if is_made(name):
        return
    place = folder(name)
    shutil.rmtree(place, ignore_errors=True)
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    words += ["--target", str(place), "--only-binary=:all:"]
    if name == OTHER:
        words += ["--implementation", "cp", "--python-version", _version()]
    subprocess.run([*words, *WANTED[name]], check=True, timeout=LONG)
    (place / "made").write_text(_stamp(name))


def _version() -> str:
    asked = "import sys; print(*sys.version_info[:2], sep='.')"
    told = subprocess.run(
        [python(OTHER), "-c", asked], capture_output=True, text=True, check=True, timeout=60
    )
    return told.stdout.strip()


def _stamp(name: str) -> str:
    return " ".join(WANTED[name])


if __name__ == "__main__":
    for each in WANTED:
        if each == OTHER and not other_python.is_made(other_python.usual_folder()):
            sys.stderr.write("there is no other Python: none of its NumPy\n")
            continue
        make(each)
