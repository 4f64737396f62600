"""Two pools of one script; each keeps to itself what its tasks have set."""

from benchmarks.side_by_side.pools import start

RIGHT = [[1, 2, 3], [1], [4]]
COUNT = 0


def count(_):
    global COUNT
    COUNT += 1
    return COUNT


def main():
    with start(workers=1) as one, start(workers=1) as other:
        return [
            [one.call(count, i) for i in range(3)],
            [other.call(count, i) for i in range(1)],
            [one.call(count, 9)],
        ]


if __name__ == "__main__":
    print(repr(main()))
