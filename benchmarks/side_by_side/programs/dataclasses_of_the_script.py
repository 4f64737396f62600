"""Dataclasses: frozen, with slots, with defaults, ordered; as dictionary keys and in sets."""

import dataclasses

from benchmarks.side_by_side.pools import start

RIGHT = [True, True, {"x": 3, "tags": ["new"]}, "cannot assign to field 'x'"]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Key:
    x: int


@dataclasses.dataclass(kw_only=True)
class Record:
    x: int = 0
    tags: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.x += 1


def work(key):
    record = Record(x=key.x)
    record.tags.append("new")
    try:
        key.x = 9
    except dataclasses.FrozenInstanceError as error:
        text = str(error)
    return {Key(2): record}, text


def main():
    with start() as pool:
        (found, text) = pool.call(work, Key(2))
    record = found[Key(2)]
    return [type(record) is Record, Key(1) < next(iter(found)), dataclasses.asdict(record), text]


if __name__ == "__main__":
    print(repr(main()))
