"""`main` sets up logging into a file; messages of tasks are in it."""

import logging

from benchmarks.side_by_side.pools import start

RIGHT = ["in a task"]
logger = logging.getLogger("mine")


def work(_):
    logger.info("in a task")


def main():
    logging.basicConfig(filename="log.txt", format="%(message)s", level=logging.INFO)
    with start() as pool:
        pool.call(work, 0)
    with open("log.txt") as file:
        return [line.strip() for line in file if "task" in line]


if __name__ == "__main__":
    print(repr(main()))
