"""Master and slaves in one script.

Run it with slaves that it starts itself:

    python master_slave_demo.py 2

or without, and start slaves anywhere, as many as you like, at any time:

    python master_slave_demo.py
    task_manager slave demo
"""

import math
import sys

from Scientific.DistributedComputing.MasterSlave import (
    MasterProcess,
    SlaveProcess,
    TaskRaisedException,
    runJob,
)


class Master(MasterProcess):
    """Asks for square roots."""

    def run(self):
        numbers = [-1, 0, 1, 2, 3]
        for x in numbers:
            self.requestTask("sqrt", float(x))
        for _ in numbers:
            try:
                task_id, tag, (x, root) = self.retrieveResult("sqrt")
            except TaskRaisedException as failed:
                print(f"{failed.task_id} raised {failed.exception!r}")
                print(failed.traceback)
            else:
                print(f"{task_id}: the {tag} of {x} is {root}")


class Slave(SlaveProcess):
    """Computes square roots."""

    def do_sqrt(self, x):
        return x, math.sqrt(x)


slaves = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdecimal() else 0
runJob("demo", Master, Slave, launch_slaves=slaves)
