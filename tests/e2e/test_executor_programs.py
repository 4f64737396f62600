"""Programs for `ProcessPoolExecutor`, also in asyncio, print the same with ours, and end alike."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HEAD: Final = """
import asyncio, functools, gc, sys, traceback
from concurrent.futures import FIRST_EXCEPTION, as_completed, wait
from {module} import {name} as Executor

class Two(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)
        self.code = code

def square(x):
    return x * x

def halve(x):
    if x % 2:
        raise ValueError(f"{{x}} is odd", x)
    return x // 2

def two(x):
    raise Two(x, "text")

def add(*args, **kwargs):
    return args, sorted(kwargs.items())

def items():
    yield 1
    raise RuntimeError("items")

def told(function, *args):
    try:
        print("returned", function(*args))
    except Exception as error:
        print("raised", type(error).__name__, error.args)

def main():
{body}

if __name__ == "__main__":
    main()
"""

PROGRAMS: Final = {
    "calls": """
with Executor(1) as executor:
    told(executor.submit(square).result)
    told(executor.submit(square, 1, 2).result)
    told(executor.submit(square, y=1).result)
    told(executor.submit(add, 1, fn=2, timeout=3, retries=4).result)
    told(executor.submit(two, 1).result)
    error = executor.submit(two, 5).exception()
    print(error.code, "in two" in "".join(traceback.format_exception(error)))
    told(executor.submit(functools.reduce, max, []).result)
""",
    "maps": """
with Executor(2) as executor:
    results = executor.map(halve, range(4))
    told(next, results)
    told(next, results)
    told(next, results)
    told(lambda: list(executor.map(square, items())))
    told(lambda: list(executor.map(square, 5)))
    told(lambda: list(executor.map(square, [1], chunksize=0)))
    told(lambda: list(executor.map(pow, [1, 2], [3])))
""",
    "futures": """
out = []
with Executor(1) as executor:
    future = executor.submit(square, 3)
    future.add_done_callback(lambda done: out.append((done is future, done.result())))
    told(future.result)
    print(len(wait([future, future]).done), [each.result() for each in as_completed([future] * 2)])
    done, rest = wait([executor.submit(halve, 1)], return_when=FIRST_EXCEPTION)
    print(len(done), len(rest), future.cancel(), future.running(), future.done())
    for function in (future.set_result, future.set_exception):
        try:
            function(ValueError())
        except Exception as error:
            print(type(error).__name__)
print(out)
told(executor.submit, square, 1)
told(executor.map, square, [1])
""",
    "dropped": """
executor = Executor(1)
future = executor.submit(square, 3)
del executor
gc.collect()
told(future.result)
executor = Executor(1)
executor.submit(print, "at the end")
executor.shutdown(wait=False)
""",
    "asyncio": """
async def use():
    loop = asyncio.get_running_loop()
    with Executor(2) as executor:
        run = functools.partial(loop.run_in_executor, executor)
        print(await asyncio.gather(*(run(square, i) for i in range(5))))
        print(await asyncio.gather(*(run(halve, i) for i in range(3)), return_exceptions=True))
        async def one(number):
            return await run(halve, number)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(number)) for number in (0, 1)]
        except* ValueError as errors:
            print(errors.exceptions)
        print(sorted([await each for each in asyncio.as_completed([run(square, 2), run(abs, -1)])]))
        future = executor.submit(square, 3)
        print(await asyncio.wrap_future(future), await asyncio.wrap_future(future), future.result())
        print(await asyncio.shield(run(square, 4)), len(await run(bytes, 1_000_000)))
asyncio.run(use())
""",
    "a_program_that_fails": """
executor = Executor(1)
executor.submit(print, "done all the same")
sys.exit(7)
""",
}


def output(folder: Path, module: str, name: str, body: str) -> tuple[int, str]:
    """Return how a program ended, and what it printed."""
    folder.mkdir()
    script = folder / "script.py"
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    script.write_text(HEAD.format(module=module, name=name, body=indented))
    command = [sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode in (0, 7), done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_as_with_processes(name: str, tmp_path: Path) -> None:
    """What it prints, and with which status it ends."""
    body = PROGRAMS[name]
    ours = output(tmp_path / "ours", "masterworker", "Executor", body)
    theirs = "concurrent.futures", "ProcessPoolExecutor"
    assert ours == output(tmp_path / "theirs", *theirs, body)
    assert ours[1]
