"""Generic classes, type variables and aliases of the script."""

import typing

from benchmarks.side_by_side.pools import start

RIGHT = ["int", True, [1, 2], True]
T = typing.TypeVar("T")
Numbers = list[int]


class Stack(typing.Generic[T]):
    def __init__(self, items: list[T]) -> None:
        self.items = items

    def top(self) -> T:
        return self.items[-1]


Whole = Stack[int]


def work(stack):
    made = Whole([1, 2])
    return (
        made.__orig_class__.__args__[0].__name__,
        isinstance(stack, Stack),
        made.items,
        T is Stack.__parameters__[0],
    )


def main():
    with start() as pool:
        return list(pool.call(work, Stack(["a"])))


if __name__ == "__main__":
    print(repr(main()))
