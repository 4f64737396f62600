"""Which command a line means that cannot be read, so that its help is named."""

from __future__ import annotations

import shlex

import pytest

from masterworker.cli.main import main

MEANT = {
    "worker demo --bogus": "worker",
    "--bogus": "",
    "demo --bogus": "",
    "-m show worker demo --bogus": "worker",
    "--master list worker demo --bogus": "worker",
    "--mast list worker demo --bogus": "worker",
    "--master=list worker demo --bogus": "worker",
    "-mlist worker demo --bogus": "worker",
    "-wm list worker demo --bogus": "worker",
    "-wv worker demo --bogus": "worker",
    "ticket --out list --bogus": "ticket",
    "--bogus worker demo": "worker",
    "worker show --bogus": "worker",
    "demo show --bogus": "",
    "-n": "",
    "worker -n": "worker",
}


@pytest.mark.parametrize("line", MEANT)
def test_the_help_that_is_named(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the value of an option is called like another command."""
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(line))
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.endswith(f"(see: {' '.join(['task_manager', *MEANT[line].split(), '--help'])})\n")
