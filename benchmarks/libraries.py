"""The libraries that are measured: what a good user of each would write, and no tricks.

To measure another one, derive a class from `Library` in a module that can be imported, and name it:
`python -m benchmarks --libraries masterworker,mymodule:MyLibrary`.

Each is imported only when it is measured: the time to the first result is measured, too.
"""

import importlib
import itertools

#: The name in tables and options: where the class is.
LIBRARIES = {
    "masterworker": "benchmarks.libraries:Ours",
    "executor": "benchmarks.libraries:Executor",
    "pool": "benchmarks.libraries:Pool",
    "joblib": "benchmarks.peers:Joblib",
    "dask": "benchmarks.peers:Dask",
    "ray": "benchmarks.peers:Ray",
    "mpi4py": "benchmarks.peers:Mpi",
}
STANDARD = ["masterworker", "executor", "pool"]


class NotAvailableError(Exception):
    """It cannot be measured here, and why."""


class Library:
    """One way to run tasks in worker processes."""

    #: What must be installed, as it is imported; and as it is called where packages are found.
    module = ""
    package = ""

    def start(self, workers, *, bulk=False):
        """Begin; with `bulk`, only `map` will be called."""
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    def submit(self, function, item):
        """Ask for one task. Returns a future."""
        raise NotImplementedError

    def gather(self, futures):
        """The results of tasks that were asked for one by one, in their order."""
        raise NotImplementedError

    def call(self, function, item):
        """One round trip."""
        return self.gather([self.submit(function, item)])[0]

    def map(self, function, items, chunk=None):
        """Call the function for each item; chunk: None is whatever the library does by itself."""
        raise NotImplementedError

    def shared(self, array, function, items):
        """[function(array, item) for item in items], the array going out once."""
        raise NotImplementedError


class Ours(Library):
    module = package = "masterworker"

    def start(self, workers, *, bulk=False):  # noqa: ARG002  it makes no difference
        from masterworker import Master

        self.master = Master(workers=workers)

    def stop(self):
        self.master.shutdown()

    def submit(self, function, item):
        return self.master.submit(function, item)

    def gather(self, futures):
        return [future.result() for future in futures]

    def call(self, function, item):
        return self.master.submit(function, item).result()

    def map(self, function, items, chunk=None):  # noqa: ARG002  there are no chunks to tune
        return list(self.master.map(function, items))

    def shared(self, array, function, items):
        shared = self.master.share(array=array)
        return list(self.master.map(function, itertools.repeat(shared.array), items))


class Futures(Library):
    """Whatever looks like the executors of `concurrent.futures`."""

    def make(self, workers, **options):
        raise NotImplementedError

    def start(self, workers, *, bulk=False):  # noqa: ARG002  it makes no difference
        self.workers = workers
        self.executor = self.make(workers)

    def stop(self):
        self.executor.shutdown()

    def submit(self, function, item):
        return self.executor.submit(function, item)

    def gather(self, futures):
        return [future.result() for future in futures]

    def call(self, function, item):
        return self.executor.submit(function, item).result()

    def map(self, function, items, chunk=None):
        options = {} if chunk is None else {"chunksize": chunk}
        return list(self.executor.map(function, items, **options))

    def shared(self, array, function, items):
        # What all tasks need is given to each worker when it begins; so there must be new ones.
        self.executor.shutdown()
        self.executor = self.make(self.workers, initializer=_keep, initargs=(array,))
        futures = [self.executor.submit(_with_kept, function, item) for item in items]
        return self.gather(futures)


class Executor(Futures):
    """The standard library's `ProcessPoolExecutor`."""

    def make(self, workers, **options):
        from concurrent.futures import ProcessPoolExecutor

        return ProcessPoolExecutor(workers, **options)


class Pool(Library):
    """The standard library's `multiprocessing.Pool`."""

    def make(self, *initializer):
        import multiprocessing

        return multiprocessing.Pool(self.workers, *initializer)

    def start(self, workers, *, bulk=False):  # noqa: ARG002  it makes no difference
        self.workers = workers
        self.pool = self.make()

    def stop(self):
        self.pool.close()
        self.pool.join()

    def submit(self, function, item):
        return self.pool.apply_async(function, (item,))

    def gather(self, futures):
        return [future.get() for future in futures]

    def call(self, function, item):
        return self.pool.apply(function, (item,))

    def map(self, function, items, chunk=None):
        return self.pool.map(function, items, chunk)

    def shared(self, array, function, items):
        self.stop()
        self.pool = self.make(_keep, (array,))
        return self.gather([self.pool.apply_async(_with_kept, (function, i)) for i in items])


_kept = None


def _keep(array):
    global _kept
    _kept = array


def _with_kept(function, item):
    return function(_kept, item)


def find(name):
    """Return the class of a library."""
    module, _, attribute = LIBRARIES.get(name, name).partition(":")
    if not attribute:
        raise NotAvailableError(f"there is no library {name!r}; known: {', '.join(LIBRARIES)}")
    return getattr(importlib.import_module(module), attribute)


def version(name):
    """Return the version that is installed; "" for the standard library.

    Raises:
        NotAvailableError: None is.
    """
    import importlib.metadata
    import importlib.util

    library = find(name)
    if library.module and importlib.util.find_spec(library.module) is None:
        raise NotAvailableError(f"{library.module} is not installed")
    return importlib.metadata.version(library.package) if library.package else ""
