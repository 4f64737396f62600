"""A program whose tasks go through an engine: what happens there, one thing for each call.

python through_program.py ENGINE DEED
"""

from __future__ import annotations

import json
import sys

import pilot_program
from pilot_program import numbered, until

import masterworker

MANY = pilot_program.MANY


def adaptive(engine):
    """A cluster without workers starts one when tasks wait, also when it has had some before."""
    engine.cluster.scale(0)
    until(lambda: not engine.on.nthreads())
    engine.cluster.adapt(minimum=0, maximum=MANY, wait_count=2, interval="100ms")
    with masterworker.Master(engine=engine.on) as master:
        for _ in range(2):
            values = [master.submit(numbered, i, 0) for i in range(5)]
            assert [value.result(60) for value in values] == list(range(5))
            until(lambda: len(master.status().processes) == 1)  # the slots are gone as well


def main():
    kind, deed = sys.argv[1:]
    engine = pilot_program.ENGINES[kind]()
    known = {function.__name__: function for function in [adaptive]}
    print(json.dumps({"found": known[deed](engine)}), flush=True)  # noqa: T201
    engine.close()


if __name__ == "__main__":
    main()
