"""The script makes warnings errors before it starts workers."""

import warnings

from benchmarks.side_by_side.pools import start

RIGHT = "UserWarning"


def work(_):
    try:
        warnings.warn("careful", stacklevel=1)
    except UserWarning as error:
        return type(error).__name__
    return "only a warning"


def main():
    warnings.simplefilter("error", UserWarning)
    with start() as pool:
        return pool.call(work, 0)


if __name__ == "__main__":
    print(repr(main()))
