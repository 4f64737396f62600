"""`python -m masterworker.cli` is `task_manager`, or a worker that a supervisor launches."""

import gc
import sys

gc.disable()  # what is loaded for the start stays: looking for garbage among it takes time

from masterworker.launch.command import is_order  # noqa: E402

if is_order(sys.argv[1:]):
    from masterworker.cli.work import main

    gc.enable()
    sys.exit(main(sys.argv[1:]))
else:
    from masterworker.cli.main import run

    gc.enable()
    run()
