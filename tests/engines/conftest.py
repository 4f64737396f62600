"""Settings of engines, for these tests and the programs that they start."""

import os

#: Dask gives up a worker that has not come back by then: 15 s, which a slow machine may need.
os.environ.setdefault("DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT", "120s")
