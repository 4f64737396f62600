"""A metaclass registers each class once, in a worker as in the script."""

from benchmarks.side_by_side.pools import start

RIGHT = ["Base", "Left", "Right"]
REGISTRY = []


class Meta(type):
    def __new__(meta, name, bases, namespace):
        made = super().__new__(meta, name, bases, namespace)
        REGISTRY.append(made)
        return made


class Base(metaclass=Meta):
    pass


class Left(Base):
    pass


class Right(Base):
    pass


def work(_):
    assert REGISTRY[1] is Left and type(Left()) is REGISTRY[1]
    return [each.__name__ for each in REGISTRY]


def main():
    with start() as pool:
        return pool.call(work, Left())


if __name__ == "__main__":
    print(repr(main()))
