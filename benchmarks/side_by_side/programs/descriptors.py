"""Descriptors that know their names, properties, class methods and static methods."""

from benchmarks.side_by_side.pools import start

RIGHT = [5, "x must be positive", "Particle", 7, 10]


class Positive:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, obj, owner=None):
        return self if obj is None else obj.__dict__[self.name]

    def __set__(self, obj, value):
        if value <= 0:
            raise ValueError(f"{self.name} must be positive")
        obj.__dict__[self.name] = value


class Particle:
    x = Positive()

    def __init__(self, x):
        self.x = x

    @classmethod
    def kind(cls):
        return cls.__name__

    @staticmethod
    def seven():
        return 7

    @property
    def double(self):
        return self.x * 2


def work(particle):
    try:
        Particle(-1)
    except ValueError as error:
        text = str(error)
    return [particle.x, text, particle.kind(), Particle.seven(), particle.double]


def main():
    with start() as pool:
        return pool.call(work, Particle(5))


if __name__ == "__main__":
    print(repr(main()))
