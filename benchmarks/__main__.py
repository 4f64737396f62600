"""masterworker beside other ways to run tasks in processes, as one table: `make bench`.

Short by itself: fewer tasks, one run of each, the standard library's pools. `--full` is everything
that is installed. Only ratios of one run mean anything: machines differ from hour to hour.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import report, runner
from benchmarks.libraries import LIBRARIES, STANDARD, NotAvailableError, version
from benchmarks.runner import Cell
from benchmarks.workloads import WORKLOADS


def arguments():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            f"  {key:4} {w.describe(w.full)}  (short: {w.short:,})" for key, w in WORKLOADS.items()
        ),
    )
    parser.add_argument("--full", action="store_true", help="all tasks, all libraries")
    parser.add_argument("--repeat", type=int, help="runs of each (1; with --full 3)")
    parser.add_argument("--only", help="workloads, with commas", default=",".join(WORKLOADS))
    parser.add_argument("--libraries", help=f"with commas, of {', '.join(LIBRARIES)}")
    parser.add_argument("--tasks", type=int, help="number of tasks in each workload")
    parser.add_argument("--limit", type=float, help="seconds for each run, in place of its own")
    parser.add_argument("--json", type=Path, help="write the raw figures to this file, too")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := [key for key in options.only if key not in WORKLOADS]:
        parser.error(f"no such workload: {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    options.libraries = (
        options.libraries.split(",")
        if options.libraries
        else list(LIBRARIES if options.full else STANDARD)
    )
    options.repeat = options.repeat or (3 if options.full else 1)
    return options


def installed(names):
    """Return the libraries that can be measured here; say why the others cannot."""
    found = []
    for name in names:
        try:
            version(name)
            found.append(name)
        except NotAvailableError as error:
            print(f"{name} is left out: {error}", flush=True)
    return found


def tell(record):
    """Show progress, away from the table."""
    what = record.get("figures") or record.get("skipped") or f"FAILED: {record.get('failed')}"
    if isinstance(what, dict):
        what = ", ".join(f"{name} {report.number(value)}" for name, value in what.items())
    print(f"{record['workload']:4} {record['library']:13} {what}", file=sys.stderr, flush=True)


def main():
    options = arguments()
    libraries = installed(options.libraries)
    cells = []
    for key in options.only:
        tasks = WORKLOADS[key].full if options.full else WORKLOADS[key].short
        cells += [Cell(name, key, options.tasks or tasks) for name in libraries]
    about = report.head(libraries)
    records = runner.run_all(cells, options.repeat, tell, options.limit)
    print(report.table(about, records))
    if options.json:
        options.json.write_text(json.dumps({"about": about, "records": records}, indent=1))
    return 1 if any("failed" in r for r in records if r["library"] == report.OURS) else 0


if __name__ == "__main__":
    sys.exit(main())
