"""`python -m masterworker.cli` is `task_manager`."""

from masterworker.cli.main import run

run()
