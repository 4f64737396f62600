"""What a program has set in scientific libraries by calls, and what sets the same in a worker.

Many keep it for each thread, or in an object of their own: it is asked for, and set, by the
functions that they document. What a worker has already is left alone, so no defaults are known
here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: What can be stored, and is the same in another process.
_ATOMS: Final = (bool, int, float, str, type(None))
#: Functions of libraries that return a number of threads, and set one.
_THREADS: Final = {
    "torch": ("get_num_threads", "set_num_threads"),
    "cv2": ("getNumThreads", "setNumThreads"),
}


def is_plain(value: object) -> bool:
    """Return whether a value can be stored, and is the same in another process."""
    if type(value) in (list, tuple):
        return all(map(is_plain, value))  # type: ignore[call-overload]
    return isinstance(value, _ATOMS)


def differing(theirs: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    """Return which options are others here, of those that there are here."""
    return {name: value for name, value in theirs.items() if name in here and here[name] != value}


def _options(
    get: Callable[[Any], dict[str, Any]], set_: Callable[[Any, dict[str, Any]], None]
) -> tuple[Callable[[Any], Any], Callable[[Any, Any], None]]:
    """Make what looks at options, and what sets those that are others."""

    def look(module: Any) -> dict[str, Any]:
        return {name: value for name, value in get(module).items() if is_plain(value)}

    def enter(module: Any, theirs: dict[str, Any]) -> None:
        if found := differing(theirs, get(module)):
            set_(module, found)

    return look, enter


def _update(config: Any, options: dict[str, Any]) -> None:
    for name, value in options.items():
        config.update(name, value)


def _torch(torch: Any) -> dict[str, Any]:
    found = {
        "dtype": str(torch.get_default_dtype()),
        "grad": torch.is_grad_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "threads": torch.get_num_threads(),
    }
    if hasattr(torch, "get_default_device"):
        found["device"] = str(torch.get_default_device())
    return found


def _enter_torch(torch: Any, theirs: dict[str, Any]) -> None:
    now = _torch(torch)
    other = differing(theirs, now)
    if "dtype" in other:
        torch.set_default_dtype(getattr(torch, theirs["dtype"].removeprefix("torch.")))
    if "grad" in other:
        torch.set_grad_enabled(theirs["grad"])
    if "matmul" in other:
        torch.set_float32_matmul_precision(theirs["matmul"])
    if "deterministic" in other or "warn_only" in other:
        torch.use_deterministic_algorithms(theirs["deterministic"], warn_only=theirs["warn_only"])
    if "device" in other:
        torch.set_default_device(theirs["device"])
    _enter_threads(torch, theirs["threads"])


def _threads(module: Any) -> int:
    return int(getattr(module, _THREADS[module.__name__][0])())


def _enter_threads(module: Any, number: int) -> None:
    """Let there be fewer threads, if the program has set that; not more than a worker's share."""
    if number < _threads(module):
        getattr(module, _THREADS[module.__name__][1])(number)


def _numba(numba: Any) -> int | None:
    """Return how many threads are to be used. To ask it that would start them, where none are."""
    numba.threading_layer()  # raises then
    number = int(numba.get_num_threads())
    return None if number == numba.config.NUMBA_NUM_THREADS else number


def _enter_numba(numba: Any, number: int) -> None:
    if number < numba.config.NUMBA_NUM_THREADS:
        numba.set_num_threads(number)


def _floats(keras: Any) -> dict[str, Any]:
    names = "floatx", "epsilon", "image_data_format"
    return {name: getattr(keras.backend, name)() for name in names}


def _enter_floats(keras: Any, options: dict[str, Any]) -> None:
    for name, value in options.items():
        getattr(keras.backend, f"set_{name}")(value)


def _flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Return a dictionary of dictionaries with names such as `a.b.c`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, dict)
        found.update(_flat(value, f"{before}{name}.") if inner else {before + name: value})
    return found


def _precision(gmpy: Any) -> dict[str, Any]:
    context = gmpy.get_context()
    return {name: getattr(context, name) for name in ("precision", "round", "emin", "emax")}


def _enter_precision(gmpy: Any, options: dict[str, Any]) -> None:
    for name, value in options.items():
        setattr(gmpy.get_context(), name, value)


#: What looks at a module, and what sets it there.
KNOWN: Final[dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], None]]]] = {
    "sklearn": _options(lambda m: m.get_config(), lambda m, found: m.set_config(**found)),
    "jax": _options(lambda m: m.config.values, lambda m, found: _update(m.config, found)),
    "torch": (_torch, _enter_torch),
    "cv2": (_threads, _enter_threads),
    "numba": (_numba, _enter_numba),
    "keras": _options(_floats, _enter_floats),
    "xarray": _options(lambda m: dict(m.get_options()), lambda m, found: m.set_options(**found)),
    "scipy.special": _options(lambda m: m.geterr(), lambda m, found: m.seterr(**found)),
    "dask.config": _options(lambda m: _flat(m.config), lambda m, found: m.set(found)),
    "gmpy2": _options(_precision, _enter_precision),
    "flint": _options(
        lambda m: {"prec": m.ctx.prec}, lambda m, found: setattr(m.ctx, "prec", found["prec"])
    ),
    "polars": _options(
        lambda m: {"state": m.Config.save()}, lambda m, found: m.Config.load(found["state"])
    ),
}
