"""The master of the two-script example; its slaves run slave.py.

python master.py
task_manager slave demo      (in other terminals, as many as you like; or: python slave.py)
"""

from pathlib import Path

from Scientific.DistributedComputing.MasterSlave import (
    TaskRaisedException,
    initializeMasterProcess,
)

master = initializeMasterProcess("demo", slave_script=str(Path(__file__).with_name("slave.py")))

numbers = [-1, 0, 1, 2, 3]
for x in numbers:
    master.requestTask("sqrt", float(x))
for _ in numbers:
    try:
        task_id, tag, (x, root) = master.retrieveResult("sqrt")
    except TaskRaisedException as failed:
        print(f"{failed.task_id} raised {failed.exception!r}")
        print(failed.traceback)
    else:
        print(f"{task_id}: the {tag} of {x} is {root}")
