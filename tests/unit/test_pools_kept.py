"""What is kept of pools: damaged, of a later version, or where it cannot be used."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from masterworker.cli import pool_lines, scale_options
from masterworker.cli.scale import _pools
from masterworker.errors import UsageError
from masterworker.pools.keeping import OUTPUTS, KeptJob, KeptPool, Place
from masterworker.pools.leftovers import take_back

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\x00",
        b"[]",
        b'{"format":9}',
        b'{"format":1,"label":"x","pid":1,"host":"","pools":[{"name":1}]}',
        (
            b'{"format":1,"label":"x","pid":1,"host":"","pools":[{"name":"a","system":"Slurm","least":0'
            b',"most":1,"jobs":[{"name":"1","running":false}]}]}'
        ),
        (
            b'{"format":1,"label":"x","pid":1,"host":"","pools":[{"name":"a","system":"Slurm","least":0'
            b',"most":1,"jobs":[{"name":"1","running":false}],"pool":{"system":"later"}}]}'
        ),
    ],
)
def test_a_damaged_record_stops_nothing(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`show` and the next one that scales go on; what is not understood is not acted upon."""
    monkeypatch.setenv("MASTERWORKER_STATE", str(tmp_path))
    place = Place("x")
    assert place.own()
    place.write("pools", content)
    assert isinstance(pool_lines.lines("x"), list)
    place.let_go()
    take_back("x")
    assert pool_lines.lines("x") == []


def test_a_folder_that_cannot_be_used_stops_no_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTERWORKER_STATE", str(tmp_path))
    place = Place("x")
    assert place.own()
    place.save([KeptPool("a", "Slurm", 0, 1, [KeptJob("1", running=False)])])
    place.let_go()
    (place.path / "lock").unlink()
    (place.path / "lock").symlink_to(tmp_path / "elsewhere")
    take_back("x")
    place.path.chmod(0o777)
    take_back("x")
    assert pool_lines.lines("x") == []


def test_paths_in_scripts_are_whole_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASTERWORKER_STATE", "state")
    assert Place("x").path.is_absolute()


def test_scripts_of_jobs_that_are_not_over_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LSF and HTCondor read them when the job begins."""
    monkeypatch.setenv("MASTERWORKER_STATE", str(tmp_path))
    place = Place("x")
    assert place.own()
    for number in range(OUTPUTS + 40):
        place.write(f"job-{number}.sh", b"")
    place.thin(30)
    assert len(list(place.path.glob("*.sh"))) == OUTPUTS + 30
    place.let_go()


def test_each_option_on_the_command_line_is_a_pool() -> None:
    """The second one does not replace the first."""
    parser = argparse.ArgumentParser()
    scale_options.add_to(parser)
    parser.add_argument("-n", dest="number")
    line = ["--slurm=-p a", "--slurm=-p b", "--sge=", "--ssh", "a*1", "--ssh", "b*2"]
    pools = _pools(parser.parse_args(line))
    assert [pool.name for pool in pools] == ["slurm", "slurm-2", "sge", "ssh"]
    assert pools[1].options == ("-p", "b")
    assert pools[-1].hosts == (("a", 1), ("b", 2))
    with pytest.raises(UsageError, match="two pools have the name 'x'"):
        _pools(parser.parse_args([*line, "--name", "x"]))
