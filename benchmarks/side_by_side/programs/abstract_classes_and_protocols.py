"""Abstract classes with registered ones, and protocols that are checked."""

import abc
import typing

from benchmarks.side_by_side.pools import start

RIGHT = [True, True, False, "Can't instantiate"]


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


@typing.runtime_checkable
class Named(typing.Protocol):
    name: str


class Square(Shape):
    name = "square"

    def area(self):
        return 4


@Shape.register
class Strange:
    pass


def work(shape):
    try:
        Shape()
    except TypeError as error:
        text = str(error)[:17]
    return [isinstance(shape, Named), isinstance(Strange(), Shape), isinstance(3, Shape), text]


def main():
    with start() as pool:
        return pool.call(work, Square())


if __name__ == "__main__":
    print(repr(main()))
