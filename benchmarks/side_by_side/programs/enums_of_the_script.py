"""Members of enumerations and flags are the same objects on both sides."""

import enum

from benchmarks.side_by_side.pools import start

RIGHT = [True, True, True, "red!"]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

    def shout(self):
        return self.value + "!"


class Right(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


DEFAULT = Colour.RED


def work(colour):
    return (
        colour is DEFAULT and colour is Colour.RED,
        Colour.BLUE,
        Right.READ | Right.WRITE,
        colour.shout(),
    )


def main():
    with start() as pool:
        same, blue, rights, text = pool.call(work, Colour.RED)
    return [same, blue is Colour.BLUE, rights is Right.READ | Right.WRITE, text]


if __name__ == "__main__":
    print(repr(main()))
