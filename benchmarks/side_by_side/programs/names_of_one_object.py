"""Two globals are the same list; an object refers to another global; parts refer to one another."""

from benchmarks.side_by_side.pools import start

RIGHT = [True, True, [1, 2, 9]]
A = [1, 2]
B = A


class Node:
    def __init__(self, name):
        self.name = name
        self.others = []


LEFT, RIGHT_NODE = Node("left"), Node("right")
LEFT.others.append(RIGHT_NODE)
RIGHT_NODE.others.append(LEFT)


def work(_):
    A.append(9)
    return [A is B, LEFT.others[0] is RIGHT_NODE and RIGHT_NODE.others[0] is LEFT, B]


def main():
    with start() as pool:
        return pool.call(work, 0)


if __name__ == "__main__":
    print(repr(main()))
