"""CPython's own tests of executors pass with ours; `docs/executor.md` has the deviations."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

import pytest

from security.hosts import other_python

PROGRAM = Path(__file__).with_name("cpython_executor_tests.py")
DEBIAN = Path(f"/usr/lib/python{sys.version_info.major}.{sys.version_info.minor}/test")
#: What is different, with the reason; see `docs/executor.md`.
DEVIATIONS: Final[dict[str, str]] = {}


def has_tests() -> bool:
    """Does this interpreter come with them, or does the system have them?"""
    if importlib.util.find_spec("test") is None:
        return False
    return (
        importlib.util.find_spec("test.test_concurrent_futures") is not None
        or (DEBIAN / "test_concurrent_futures.py").exists()
    )


def interpreter(folder: Path) -> Path:
    """Make an environment with the packages of this one in which these tests are found."""
    venv.create(folder, with_pip=False)
    ours = sysconfig.get_path("purelib")
    theirs = sysconfig.get_path("purelib", "venv", {"base": str(folder)})
    Path(theirs, "found.pth").write_text(
        f"import site; site.addsitedir({ours!r})\n"
        f"import test; test.__path__.append({str(DEBIAN)!r})\n"
    )
    return folder / "bin" / "python"


@pytest.mark.skipif(
    not has_tests(), reason="this Python has no tests of its own (Debian: libpython3.11-testsuite)"
)
@pytest.mark.timeout(400)
def test_the_tests_of_the_standard_library(tmp_path: Path) -> None:
    """Those for any executor: executor, wait, as_completed, shutdown, initializer."""
    require_that_all_pass(interpreter(tmp_path / "env"))


@pytest.mark.timeout(400)
def test_the_tests_of_another_python() -> None:
    """Later ones have more of them."""
    found = other_python.command(other_python.usual_folder())
    if not other_python.is_made(found.parents[2]):
        pytest.skip("no other Python: python tests/security/hosts/other_python.py makes one")
    look = [found, "-c", "import test.test_concurrent_futures"]
    if subprocess.run(look, capture_output=True, check=False).returncode:
        pytest.skip("the other Python has no tests of its own")
    require_that_all_pass(found)


def require_that_all_pass(python: Path) -> None:
    done = subprocess.run(
        [python, PROGRAM], capture_output=True, text=True, check=False, timeout=380
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["run"] >= 25
    unexpected = {name: text for name, text in found["failed"].items() if name not in DEVIATIONS}
    assert not unexpected, "\n".join(unexpected.values())
