"""Libraries that are not in the standard library; each is imported when it is measured."""

import os

from benchmarks.libraries import Futures, Library

#: Open MPI refuses more processes than cores, and root, unless it is told; waiting processes are
#: to leave the processor to others. It reads these when it begins; others do not mind them.
_OPEN_MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_ALLOW_RUN_AS_ROOT": "1",
    "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}


class Joblib(Futures):
    module = package = "joblib"

    def start(self, workers, *, bulk=False):
        self.workers = workers
        self.bulk = bulk
        if not bulk:
            self.executor = self.make(workers)

    def make(self, workers, **_):
        from joblib.executor import get_memmapping_executor

        return get_memmapping_executor(workers, timeout=300)

    def stop(self):
        if self.bulk:
            self.executor = self.make(self.workers)
        self.executor.terminate(kill_workers=True)

    def map(self, function, items, chunk=None):
        import joblib

        parallel = joblib.Parallel(n_jobs=self.workers, batch_size=chunk or "auto")
        return parallel(joblib.delayed(function)(item) for item in items)

    def shared(self, array, function, items):
        import joblib

        # It puts a large array into a file by itself, which all workers map into their memory.
        parallel = joblib.Parallel(n_jobs=self.workers)
        return parallel(joblib.delayed(function)(array, item) for item in items)


class Dask(Library):
    module = package = "distributed"

    def start(self, workers, *, bulk=False):  # noqa: ARG002  it makes no difference
        from distributed import Client, LocalCluster

        self.cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,
        )
        self.client = Client(self.cluster)

    def stop(self):
        self.client.close()
        self.cluster.close()

    def submit(self, function, item):
        return self.client.submit(function, item, pure=False)

    def gather(self, futures):
        return self.client.gather(futures)

    def map(self, function, items, chunk=None):
        if chunk is None:
            return self.client.gather(self.client.map(function, items, pure=False))
        import dask.bag

        return dask.bag.from_sequence(items, partition_size=chunk).map(function).compute()

    def shared(self, array, function, items):
        future = self.client.scatter(array, broadcast=True)
        return self.client.gather([self.client.submit(function, future, i) for i in items])


class Ray(Library):
    module = package = "ray"

    def start(self, workers, *, bulk=False):
        import ray

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self.ray = ray
        ray.init(
            num_cpus=2 * workers if bulk else workers,  # the actors of its pool keep theirs
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
            object_store_memory=3_000_000_000,
        )
        self.remote = {}
        if bulk:
            from ray.util.multiprocessing import Pool

            self.pool = Pool(workers)

    def stop(self):
        if hasattr(self, "pool"):
            self.pool.terminate()
        self.ray.shutdown()

    def submit(self, function, item):
        if function not in self.remote:
            self.remote[function] = self.ray.remote(function)
        return self.remote[function].remote(item)

    def gather(self, futures):
        return self.ray.get(futures)

    def map(self, function, items, chunk=None):
        return self.pool.map(function, items, chunk)

    def shared(self, array, function, items):
        reference, remote = self.ray.put(array), self.ray.remote(function)
        return self.ray.get([remote.remote(reference, item) for item in items])


class Mpi(Futures):
    module = package = "mpi4py"

    def make(self, workers, **options):
        os.environ |= _OPEN_MPI
        from mpi4py.futures import MPIPoolExecutor

        return MPIPoolExecutor(max_workers=workers, **options)
