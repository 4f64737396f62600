"""One measurement, in this fresh process: python -m benchmarks.one LIBRARY WORKLOAD TASKS FILE."""

import json
import os
import sys
import traceback
from pathlib import Path

from benchmarks import procs
from benchmarks.libraries import NotAvailableError, find
from benchmarks.workloads import WORKLOADS, Job

#: The variable that tells when the process was made (`time.monotonic`).
BORN = "MASTERWORKER_BENCHMARK_BORN"


def measure(name, key, tasks):
    """Return the figures, or why there are none; and the library, which is to be stopped."""
    library = None
    try:
        library = find(name)()
        workload = WORKLOADS[key]
        job = Job(library, workload, tasks, float(os.environ[BORN]), os.environ[procs.MARK])
        return {"figures": workload.measure(job)}, library
    except NotAvailableError as error:
        return {"skipped": str(error)}, library
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:300]}, library


def main(name, key, tasks, path):
    found, library = measure(name, key, int(tasks))
    whole = Path(f"{path}.new")
    whole.write_text(json.dumps(found))
    whole.rename(path)
    if "figures" not in found:
        os._exit(1)  # who knows what it would wait for; what is left behind is ended
    library.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
