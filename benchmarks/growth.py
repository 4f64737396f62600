"""Whether any curve bends up: cost of a task against what grows.

python -m benchmarks.growth [queue] [workers] [connections] [payload] [--most N] [--json FILE]

Each line shows the ratio to the line before it; plots go to benchmarks/plots.
"""

import argparse
import json
import resource
from pathlib import Path

from benchmarks import plots, report, sweeps, thin_clients

#: What grows: the sweep, and how far it goes.
SWEEPS = {
    "queue": (sweeps.queue, 1_000_000),
    "workers": (sweeps.workers, 400),
    "connections": (thin_clients.connections, 2_000),
    "payload": (sweeps.payloads, 999_000_000),
}


def allow_many_files():
    """Each connection is an open file, and many shells allow 1,024 of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweeps", nargs="*", metavar="SWEEP", help=f"of {', '.join(SWEEPS)}")
    parser.add_argument("--most", type=int, help="not beyond this size")
    parser.add_argument("--plots", type=Path, default=plots.FOLDER, help="where plots go")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args()
    if unknown := set(options.sweeps) - set(SWEEPS):
        parser.error(f"no such sweep: {', '.join(unknown)}")
    allow_many_files()
    about = report.head([report.OURS])
    print(f"{about['date']}; {', '.join(about['versions'])}\n{about['machine']}")
    found = {}
    for name in options.sweeps or SWEEPS:
        sweep, most = SWEEPS[name]
        curves = sweep(min(most, options.most or most))
        curves.end(options.plots)
        found[name] = curves.as_data()
    if options.json:
        options.json.write_text(json.dumps({"about": about, "curves": found}, indent=1))


if __name__ == "__main__":
    main()
