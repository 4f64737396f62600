"""masterworker in the peers' benchmark harness: what a good user would write, and no tricks.

The harness imports this file with its own `bench` package on the path:

    python -m bench.run --peers futures,mp-pool,masterworker \\
        --add masterworker=.venv/bin/python=benchmarks/adapter.py --workloads W1,W2
"""

import itertools

from bench.adapters.base import BaseAdapter

from masterworker import Master


class Adapter(BaseAdapter):
    best_chunk = None

    def start(self, n_workers, fault=False):  # noqa: ARG002  the harness asks
        self.master = Master(workers=n_workers)

    def stop(self):
        self.master.shutdown()

    def submit(self, fn, *args):
        return self.master.submit(fn, *args)

    def result(self, future):
        return future.result()

    def as_completed(self, futures):
        index = {future: i for i, future in enumerate(futures)}
        for future in self.master.as_completed(futures):
            error = future.exception()
            yield index[future], (future.result() if error is None else error)

    def map_bulk(self, fn, items, chunk=None):  # noqa: ARG002  no chunks to tune
        return list(self.master.map(fn, items))

    def broadcast(self, array, fn, items):
        shared = self.master.share(array=array)
        return list(self.master.map(fn, itertools.repeat(shared.array), items))
