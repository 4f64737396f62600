"""Many histories: `PYTHONPATH=tests python -m simulation --seeds 20000`."""

from __future__ import annotations

import argparse
import sys
import time

from simulation.oracle import Violation
from simulation.world import World


def main() -> int:
    """Run them, and print figures."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--most", type=int, default=1, help="stop after so many violations")
    given = parser.parse_args()
    say = sys.stdout.write
    began, events, virtual, done = time.monotonic(), 0, 0.0, 0
    bad: list[int] = []
    for seed in range(given.first, given.first + given.seeds):
        world = World(seed)
        done += 1
        try:
            world.run()
        except Violation as violation:
            say(f"{violation}\n" if not bad else f"seed {seed}: {str(violation).splitlines()[0]}\n")
            bad.append(seed)
        events += world.kernel.events
        virtual += world.kernel.now
        if len(bad) >= given.most:
            break
    seconds = time.monotonic() - began
    say(f"{done} histories, {events} events, {virtual / 3600:.1f} hours of virtual time\n")
    say(f"in {seconds:.1f} s: {done / seconds:.0f} histories/s\n")
    say(f"violations: {len(bad)} {bad}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
