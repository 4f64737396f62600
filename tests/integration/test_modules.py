"""The modules of a master and of a worker at their start: the lists say which, and no other.

A new import is a cost for each job or each worker. If it is wanted, the lists are written anew:

    MASTERWORKER_WRITE_MODULES=1 .venv/bin/python -m pytest tests/integration/test_modules.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import HANG

LISTS = Path(__file__).parent / "modules"
#: Modules of Python itself are another matter in each of its versions: these were noted with this.
NOTED = (3, 11)
MODULES = "[*__import__('sys').modules]"
PROGRAMS = {
    "import": f"import masterworker; loaded = {MODULES}",
    "master": (
        "import masterworker\n"
        "with masterworker.Master(workers=1) as master:\n"
        f"    assert master.submit(abs, -1).result() == 1\n    loaded = {MODULES}"
    ),
    "worker": (
        "import masterworker\n"
        "with masterworker.Master(workers=1) as master:\n"
        f"    loaded = master.submit(eval, {MODULES!r}).result()"
    ),
}
#: What the environment, an editable installation, or a library where it is there brings along.
BROUGHT = (
    *("typing_extensions", "_distutils_hack", "_masterworker_scientific", "sitecustomize"),
    *("cython_runtime", "_cython_", "org", "usercustomize", "__mp_main__"),
    # ... and what a worker has that is a fork of a template.
    *("masterworker.launch.template", "ctypes", "_ctypes"),
)


def printed(program: str) -> set[str]:
    words = [sys.executable, "-c", f"{program}\nprint(*loaded)"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=HANG, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", PROGRAMS)
def test_modules_at_the_start(name: str) -> None:
    bare = printed(f"import msgspec; loaded = {MODULES}")
    loaded = printed(PROGRAMS[name])
    found = {each for each in loaded - bare if not each.startswith(BROUGHT)}
    ours = {each for each in found if each.split(".")[0] == "masterworker"}
    file = LISTS / f"{name}.txt"
    if os.environ.get("MASTERWORKER_WRITE_MODULES"):
        file.write_text("\n".join(sorted(found)) + "\n")
    noted = set(file.read_text().split())
    assert sorted(ours - noted) == []
    assert sorted({each for each in noted if each.split(".")[0] == "masterworker"} - ours) == []
    if sys.version_info[:2] == NOTED:
        assert sorted(found - noted) == []
