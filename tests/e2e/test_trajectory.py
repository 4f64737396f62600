"""The example Examples/trajectory_analysis.py: a real trajectory, real workers, a real picture."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from journal import files
from masterworker.errors import JournalError
from masterworker.journal import upkeep
from support import HANG, Script, wait_until

EXAMPLE = Path(__file__).resolve().parents[2] / "Examples" / "trajectory_analysis.py"
NEEDED = ("MDAnalysis", "MDAnalysisTests", "matplotlib")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

needs_all = pytest.mark.skipif(
    bool(MISSING),
    reason=f"{', '.join(MISSING)} not installed: pip install 'masterworker[examples]'",
)

#: Measures in workers with a universe that notes where it is opened, and here with plain numpy.
PROBE = '''
import json, os, sys, warnings
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import MDAnalysis
import numpy as np
import trajectory_analysis as example
from masterworker import Master

warnings.simplefilter("ignore")  # after MDAnalysis, which changes the filters
NOTES = Path("opened").absolute()


def opened(make, parts):
    with NOTES.open("a") as notes:
        print(os.getpid(), file=notes)
    return make(*parts)


class Noted(MDAnalysis.Universe):
    def __reduce__(self):
        return opened, super().__reduce__()[:2]


def kabsch(atoms, reference):
    """The two quantities, with nothing but linear algebra."""
    here = atoms.positions.astype(float)
    here -= here.mean(axis=0)
    there = reference.astype(float) - reference.mean(axis=0)
    left, sizes, right = np.linalg.svd(here.T @ there)
    sizes[2] *= np.sign(np.linalg.det(left @ right))
    rmsd = np.sqrt(max(0, (here**2).sum() + (there**2).sum() - 2 * sizes.sum()) / len(here))
    return np.sqrt((here**2).sum() / len(here)), rmsd  # C-alpha atoms have the same mass


if __name__ == "__main__":
    atoms = Noted(example.PSF, example.DCD).select_atoms("protein and name CA")
    reference = atoms.positions
    blocks = [range(i, min(i + 3, 98)) for i in range(0, 98, 3)]
    with Master(workers=2) as master:
        rows = np.array(example.measure_in_workers(master, blocks, atoms, reference))
    times = [now.time for now in atoms.universe.trajectory]
    curves = [kabsch(atoms, reference) for now in atoms.universe.trajectory]
    told = {
        "shape": rows.shape,
        "time": abs(rows[:, 0] - times).max(),
        "curves": abs(rows[1:, 1:] - curves[1:]).max(),
        "first": rows[0, 2],
        "opened": NOTES.read_text().split(),
        "master": str(os.getpid()),
    }
    print(json.dumps(told))
'''


def run(
    *arguments: object, cwd: Path, script: Path = EXAMPLE, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def table(stdout: str) -> dict[str, list[float]]:
    rows = re.findall(
        r"^(radius of gyration|RMSD to first frame)((?: +-?\d+\.\d+){4})$", stdout, re.MULTILINE
    )
    return {name: [float(value) for value in values.split()] for name, values in rows}


def png_size(data: bytes) -> tuple[int, int]:
    """Read a PNG to its end, and return its width and height; asserts that it is sound."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, pixels, kinds = 8, b"", []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack_from(">I", data, at + 8 + length)[0]
        kinds.append(kind)
        pixels += body if kind == b"IDAT" else b""
        at += 12 + length
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
    width, height = struct.unpack_from(">II", data, 16)
    assert len(set(zlib.decompress(pixels))) > 10  # it shows something
    return width, height


@needs_all
def test_workers_and_this_process_agree_and_the_picture_is_there(tmp_path):
    done = run("--workers", 2, "--check", "--plot", "shape.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    difference = re.search(r"max abs difference between the two: (\S+)", done.stdout)
    assert difference is not None
    assert float(difference[1]) <= 1e-6
    assert re.search(r"^10 tasks done by [12] workers, none lost$", done.stdout, re.MULTILINE)
    assert "10 of 10 tasks done (100 %)" in done.stderr
    assert "NullHandler" not in done.stderr
    assert "Warning" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["shape.png"]
    width, height = png_size((tmp_path / "shape.png").read_bytes())
    assert width > 600
    assert height > 400

    serial = run("--serial", cwd=tmp_path)
    assert serial.returncode == 0, serial.stderr
    assert "Warning" not in serial.stderr
    png_size((tmp_path / "adk.png").read_bytes())
    assert table(done.stdout) == table(serial.stdout)
    assert table(done.stdout)["radius of gyration"] == pytest.approx(
        [16.435, 19.437, 16.435, 19.46]
    )
    assert table(done.stdout)["RMSD to first frame"] == pytest.approx([0, 6.814, 0, 6.833])


@needs_all
def test_numbers_are_right_and_each_process_opens_the_trajectory_once(tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    done = run(EXAMPLE.parent, cwd=tmp_path, script=probe)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["shape"] == [98, 3]
    assert told["time"] == 0
    assert told["curves"] < 1e-4  # coordinates have single precision
    assert told["first"] < 1e-4
    assert 1 <= len(told["opened"]) == len(set(told["opened"])) <= 2
    assert told["master"] not in told["opened"]


@needs_all
def test_a_worker_from_outside_does_the_work(tmp_path):
    label = f"trajectory-{os.getpid()}"
    command = [sys.executable, "-m", "masterworker.cli", "-w", "worker", label]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as worker:
        try:
            done = run("--workers", 0, "--label", label, "--block", 40, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert "3 tasks done by 1 workers, none lost" in done.stdout
            assert worker.wait(20) == 0
        finally:
            worker.kill()


def frames_kept(journal: Path) -> int:
    """How many tasks of the example are in its journal."""
    if not journal.exists() or not journal.stat().st_size:
        return 0
    try:
        found = upkeep.count(journal, files.key())
    except JournalError:  # its header is being written
        return 0
    return found.tags["@measure"]


@needs_all
@pytest.mark.timeout(600)
def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    """Ended by Ctrl-C, and then by `kill -9`, and started again as it is."""
    # The example itself, but that a frame takes long enough to be interrupted.
    slowly = "    for frame in frames:\n"
    source = EXAMPLE.read_text()
    assert slowly in source
    note = "open('executed', 'a').write(f'{frame}\\n')"
    source = source.replace(slowly, f"{slowly}        {note}\n        time.sleep(0.1)\n")
    path = tmp_path / "trajectory.py"
    path.write_text(source)
    journal = tmp_path / "adk.journal"
    options = ("--workers", "2", "--block", "1", "--journal", str(journal))
    kept = 0
    for end, status in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        script = Script(path, *options)
        more = kept + 15

        def has_come(script: Script = script, more: int = more) -> bool:
            return script.process.poll() is not None or frames_kept(journal) >= more

        wait_until(has_come, 4 * HANG, what=script.told)
        script.process.send_signal(end)
        assert script.wait(2 * HANG) in {status, -end}, script.told
        assert kept + 15 <= frames_kept(journal) < 98
        kept = frames_kept(journal)
    script = Script(path, *options)
    assert script.wait(4 * HANG) == 0, script.told
    assert frames_kept(journal) == 98
    assert table(script.out)["RMSD to first frame"] == pytest.approx([0, 6.814, 0, 6.833])
    # Twice is what was under way, and what a worker had finished and the master not written.
    executed = (tmp_path / "executed").read_text().split()
    assert set(executed) == set(map(str, range(98)))
    assert len(executed) <= 98 + 2 * 30


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_missing_is_told_in_one_line(tmp_path, name):
    (tmp_path / f"{name}.py").write_text(f"raise ImportError('no {name}')")
    done = run(cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'masterworker[examples]'" in done.stderr
