"""What the fault trials share."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from faults.network import Network
from faults.trial import Processes, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """A job without workers; start some."""
    made = Trial(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """A folder, and programs that are started in it; the master is one of them."""
    made = Processes(tmp_path)
    try:
        yield made
    finally:
        made.clear()


@pytest.fixture
def network() -> Iterator[Network]:
    """Two hosts, if this machine lets us make them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the command `ip`")
    made = Network()
    try:
        try:
            made.open()
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"this machine makes no network namespaces: {error}")
        yield made
    finally:
        made.close()
