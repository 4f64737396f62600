"""A task pickles an object of the script's own class, as for a checkpoint; the script opens it."""

import pickle

from benchmarks.side_by_side.pools import start

RIGHT = [True, 5, True]


class State:
    def __init__(self, step):
        self.step = step


def work(step):
    data = pickle.dumps(State(step))
    return data, type(pickle.loads(data)) is State


def main():
    with start() as pool:
        data, same = pool.call(work, 5)
    state = pickle.loads(data)
    return [type(state) is State, state.step, same]


if __name__ == "__main__":
    print(repr(main()))
