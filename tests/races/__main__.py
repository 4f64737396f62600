"""A long race hunt: python -m races --rounds 100000 --seed 1 (see `make races`)."""

from __future__ import annotations

import argparse
import itertools
import sys

from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from races.machine import races_on, staged
from races.search import search


def main() -> None:
    """Search; raise what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with staged() as stage:
        seeds = itertools.count(asked.seed)
        while stage.rounds < asked.rounds:
            found = seed(next(seeds))(races_on(stage))
            run_state_machine_as_test(found, settings=search(min(asked.rounds, 10_000)))
    sys.stdout.write(f"{stage.rounds} rounds: each future ended once\n")


if __name__ == "__main__":
    main()
