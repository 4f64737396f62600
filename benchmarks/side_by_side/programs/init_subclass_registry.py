"""A base class registers its subclasses by name, and finds them."""

from benchmarks.side_by_side.pools import start

RIGHT = [["csv", "json"], "json of 3", True]


class Reader:
    readers = {}

    def __init_subclass__(cls, *, format, **keywords):
        super().__init_subclass__(**keywords)
        assert format not in Reader.readers
        Reader.readers[format] = cls

    @classmethod
    def of(cls, format):
        return cls.readers[format]()


class Csv(Reader, format="csv"):
    def read(self, x):
        return f"csv of {x}"


class Json(Reader, format="json"):
    def read(self, x):
        return f"json of {x}"


def work(x):
    return [sorted(Reader.readers), Reader.of("json").read(x), Reader.readers["csv"] is Csv]


def main():
    with start() as pool:
        return pool.call(work, 3)


if __name__ == "__main__":
    print(repr(main()))
