"""Tasks keep something in a global of their worker, for the next task there."""

from benchmarks.side_by_side.pools import start

RIGHT = [1, 1, 1]
CACHE = {}
LOADED = 0


def load(name):
    global LOADED
    if name not in CACHE:
        LOADED += 1
        CACHE[name] = name.upper()
    return LOADED


def main():
    with start(workers=1) as pool:
        return [pool.call(load, "model") for _ in range(3)]


if __name__ == "__main__":
    print(repr(main()))
