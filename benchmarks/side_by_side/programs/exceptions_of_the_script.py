"""Exceptions of the script, with arguments of their own, a cause, notes, and in a group."""

from benchmarks.side_by_side.pools import start

RIGHT = [["Failed", 7, "bad"], ["ValueError", "cause"], ["ExceptionGroup", "Failed"]]


class Failed(Exception):
    def __init__(self, code, *, reason):
        super().__init__(f"failed with {code}")
        self.code = code
        self.reason = reason


def fail(how):
    if how == "group":
        raise ExceptionGroup("several", [Failed(1, reason="x"), ValueError("y")])
    try:
        raise ValueError("cause")
    except ValueError as error:
        raise Failed(7, reason="bad") from error


def main():
    found = []
    with start() as pool:
        try:
            pool.call(fail, "alone")
        except Failed as error:
            found.append([type(error).__name__, error.code, error.reason])
            found.append([type(error.__cause__).__name__, str(error.__cause__)])
        try:
            pool.call(fail, "group")
        except ExceptionGroup as group:
            found.append([type(group).__name__, type(group.exceptions[0]).__name__])
    return found


if __name__ == "__main__":
    print(repr(main()))
