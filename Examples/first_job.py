"""A first job: how long is a chain of n links that never crosses itself?

Self-avoiding walks on a lattice, a classic of polymer physics, grown at random (Rosenbluth &
Rosenbluth, J. Chem. Phys. 23, 356, 1955). Every walk is independent of all others, so any number
of workers can share them. Run it with:  python Examples/first_job.py [number of workers]
"""

import math
import os
import random
import sys
import time

from masterworker import Master

STEPS = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))

NEXT = """
Try next:
  .venv/bin/python Examples/master_slave_demo.py    a master that waits for slaves ...
  .venv/bin/task_manager slave demo                 ... and a slave, in another terminal
  .venv/bin/task_manager show demo -v               who works there, and on what
  README.md                                         your own functions, more workers"""


def grow(links, walks, seed):
    """Grow walks; return the sums of their weights, and of weight times squared length."""
    rng = random.Random(seed)
    weights = weighted = 0.0
    for _ in range(walks):
        here, weight = (0, 0, 0), 1.0
        visited = {here}
        for _ in range(links):
            free = [
                site
                for dx, dy, dz in STEPS
                if (site := (here[0] + dx, here[1] + dy, here[2] + dz)) not in visited
            ]
            if not free:
                weight = 0.0
                break
            weight *= len(free) / 6
            here = rng.choice(free)
            visited.add(here)
        weights += weight
        weighted += weight * sum(x * x for x in here)
    return weights, weighted


def main():
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else max(2, os.cpu_count() or 2)
    lengths, batches = (10, 20, 40, 80), 100
    jobs = [(links, 25, seed) for links in lengths for seed in range(batches)]
    print(f"{len(jobs)} tasks for {workers} workers on this machine; no name server needed")
    began = time.perf_counter()
    with Master(workers=workers) as master:
        results = list(master.map(grow, *zip(*jobs, strict=True), progress=True))
        seconds = time.perf_counter() - began
    print("\nlinks   root-mean-square length   (a chain that may cross itself)")
    points = []
    for i, links in enumerate(lengths):
        part = results[i * batches : (i + 1) * batches]
        length = math.sqrt(sum(w for _, w in part) / sum(w for w, _ in part))
        points.append((math.log(links), math.log(length)))
        print(f"{links:5}   {length:23.2f}   ({math.sqrt(links):.2f})")
    slope = (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0])
    print(f"The length grows as links**{slope:.3f}; the accepted exponent is 0.588.\n")
    print(f"{len(jobs)} tasks done by {workers} workers, none lost")
    print(f"{len(jobs) / seconds:,.0f} tasks/s over {seconds:.1f} s, start of the workers included")
    print(NEXT)


if __name__ == "__main__":
    main()
