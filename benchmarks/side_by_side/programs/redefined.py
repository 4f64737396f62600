"""A function and a class are defined again, as in a notebook; new objects come back."""

from benchmarks.side_by_side.pools import start

RIGHT = [("old", "old"), ("new", "new"), True]


def define(word):
    source = f"""
class Thing:
    def word(self):
        return {word!r}

def work(thing):
    return {word!r}, thing.word()

def made(_):
    return Thing()
"""
    exec(source, globals())


define("old")


def main():
    with start() as pool:
        first = pool.call(work, Thing())
        define("new")
        return [first, pool.call(work, Thing()), type(pool.call(made, 0)) is Thing]


if __name__ == "__main__":
    print(repr(main()))
