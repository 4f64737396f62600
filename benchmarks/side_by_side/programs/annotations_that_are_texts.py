"""`typing.get_type_hints` with `from __future__ import annotations`."""

from __future__ import annotations

import dataclasses
import typing

from benchmarks.side_by_side.pools import start

RIGHT = ["Unit", "list[__main__.Unit]", "Unit"]


class Unit:
    pass


@dataclasses.dataclass
class Army:
    units: list[Unit]


def made(unit: Unit) -> Unit:
    return unit


def work(_):
    fields = typing.get_type_hints(Army)["units"]
    return [
        typing.get_type_hints(made)["unit"].__name__,
        str(fields).replace("__mp_main__", "__main__"),
        typing.get_type_hints(made)["return"].__name__,
    ]


def main():
    with start() as pool:
        return pool.call(work, 0)


if __name__ == "__main__":
    print(repr(main()))
