"""Whatever a task does, it has an outcome, and the same worker executes the next one."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

from integration import work
from masterworker import Master, RemoteError, TaskFailed
from masterworker.errors import UnpicklableError
from masterworker.master import engine_of
from support import HANG, lasting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: An outcome that has not come after so many seconds never will.
BOUND = 8.0


@pytest.fixture(scope="module")
def masters() -> Iterator[list[Master]]:
    """One master with one worker process for a whole module, as long as no test ruins it."""
    made = [Master(workers=1)]
    lasting.add(made[0].label)
    yield made
    for master in made:
        master.shutdown()


@pytest.fixture
def same_worker(masters: list[Master]) -> Iterator[Master]:
    """After the test, the worker is the one that it was before."""
    master = masters[0] if masters else Master(workers=1)
    good = False
    try:
        before = master.submit(work.pid).result(HANG)
        yield master
        assert master.submit(work.pid).result(BOUND) == before
        engine_of(master).manager.check()
        good = True
    finally:
        if not (good and masters):
            masters.clear()
            master.shutdown()


def _notes(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", []))


def test_the_original_exception_is_raised(same_worker: Master) -> None:
    """Of its own type, with its arguments, and the worker's traceback as a note."""
    future = same_worker.submit(work.fail, "Plain", "text", 5)

    with pytest.raises(work.Plain) as caught:
        future.result(HANG)

    assert caught.value.args == ("text", 5)
    assert "in task @fail_" in _notes(caught.value)
    assert "pid " in _notes(caught.value)
    assert 'work.py", line' in _notes(caught.value)
    assert "in fail" in _notes(caught.value)
    assert future.exception() is caught.value
    with pytest.raises(work.Plain):  # and again
        future.result()
    assert _notes(caught.value).count("in task") == 1


def test_the_chain_of_causes_is_kept(same_worker: Master) -> None:
    """Each of its own type."""
    error = same_worker.submit(work.fail_with_cause).exception(BOUND)

    assert isinstance(error, work.Plain)
    assert isinstance(error.__cause__, FileNotFoundError)
    assert error.__cause__.errno == 2
    assert isinstance(error.__cause__.__cause__, KeyError)
    assert "direct cause" in _notes(error)


def test_an_exception_group_arrives_whole(same_worker: Master) -> None:
    """With all that is in it."""
    error = same_worker.submit(work.group).exception(BOUND)

    assert isinstance(error, ExceptionGroup)
    matched, rest = error.split(KeyError)
    assert matched is not None
    assert rest is not None
    assert repr(rest.exceptions[0]) == "ValueError('one')"


@pytest.mark.parametrize(
    "kind", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException"]
)
def test_exceptions_that_end_programs_end_a_task_only(same_worker: Master, kind: str) -> None:
    """Neither the worker nor the master: that exception is the cause of the failure."""
    future = same_worker.submit(work.fail, kind, 3)
    with pytest.raises(TaskFailed, match=f"raised {kind}: 3") as caught:
        future.result(BOUND)

    assert future.exception() is caught.value
    cause = caught.value.__cause__
    assert cause is caught.value.exception
    assert type(cause).__name__ == kind
    assert cause is not None
    assert cause.args == (3,)
    assert "in fail" in caught.value.traceback


def test_groups_of_exceptions_that_end_programs(same_worker: Master) -> None:
    """They are no ordinary exceptions either."""
    group = BaseExceptionGroup("several", [ValueError("one"), KeyboardInterrupt()])
    error = same_worker.submit(work.throw, group).exception(BOUND)

    assert isinstance(error, TaskFailed)
    assert isinstance(error.__cause__, BaseExceptionGroup)


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
def test_exceptions_that_end_loops(same_worker: Master, kind: type[Exception]) -> None:
    """A loop over results would end in the middle, and nobody would know."""
    futures = [same_worker.submit(abs, -1), same_worker.submit(work.throw, kind(5))]
    with pytest.raises(TaskFailed) as caught:
        list(map(work.result_of, futures))
    assert isinstance(caught.value.__cause__, kind)
    with pytest.raises(TaskFailed):
        list(same_worker.map(work.throw, [kind(5)]))


def test_leaving_by_sys_exit(same_worker: Master) -> None:
    """The program of the master goes on, and can see the status."""
    for status in (0, 3, "message", None):
        with pytest.raises(TaskFailed) as caught:
            same_worker.submit(sys.exit, status).result(HANG)
        assert isinstance(caught.value.__cause__, SystemExit)
        assert caught.value.__cause__.code == status


@pytest.mark.parametrize(
    "args",
    [("TwoArguments", 5, "six"), ("BadReduce", "reduce"), ("HoldsALock",), ("BadBoth", "x")],
    ids=lambda args: args[0],
)
def test_exceptions_that_cannot_be_pickled(same_worker: Master, args: tuple[Any, ...]) -> None:
    """Of their class they come all the same."""
    error = same_worker.submit(work.fail, *args).exception(BOUND)

    assert type(error) is getattr(work, args[0])


def test_exceptions_that_cannot_travel(same_worker: Master) -> None:
    """Their class name, text and traceback come all the same."""
    error = same_worker.submit(work.fail, "of_no_module", "what it says").exception(BOUND)

    assert isinstance(error, TaskFailed)
    assert isinstance(error.exception, RemoteError)
    assert error.exception.type_name == "OfNoModule"
    assert "what it says" in error.exception.message
    assert "what it says" in str(error)
    assert "OfNoModule" in str(error)
    assert "in fail" in error.traceback
    assert error.task_id.startswith("@fail_")


@pytest.mark.parametrize("kind", ["BadText", "ExitInText", "ExitInReduce", "ExitInRebuild"])
def test_exceptions_that_harm_whoever_looks_at_them(same_worker: Master, kind: str) -> None:
    """One that raises, or exits, when it is shown or pickled fails the task, and no more."""
    error = same_worker.submit(work.fail, kind).exception(BOUND)

    name = type(error).__name__
    assert kind in {name, getattr(getattr(error, "exception", None), "type_name", "")}


def test_an_exception_class_that_the_master_does_not_have(same_worker: Master) -> None:
    """Made in the worker from source: no process has it but that one."""
    source = (
        "import sys, types\n"
        "there = types.ModuleType('only_there'); sys.modules['only_there'] = there\n"
        "exec('class Strange(Exception): pass', there.__dict__)\n"
        "raise there.Strange('from afar')\n"
    )
    error = same_worker.submit(exec, source, {}).exception(BOUND)

    assert isinstance(error, (TaskFailed, Exception))
    told = getattr(error, "exception", error)
    name = told.type_name if isinstance(told, RemoteError) else type(told).__name__
    assert name == "Strange"
    assert "from afar" in str(told)


def test_a_result_that_cannot_be_pickled(same_worker: Master) -> None:
    """The error names its type and the reason."""
    error = same_worker.submit(work.unpicklable).exception(BOUND)

    assert isinstance(error, UnpicklableError)
    assert "lock" in str(error)
    assert "result" in str(error)


@pytest.mark.parametrize("kind", ["Frozen", "BadNotes"])
def test_exceptions_that_take_no_notes(same_worker: Master, kind: str) -> None:
    """They are raised as they are, or in the form of their text; nothing else is."""
    error = same_worker.submit(work.fail, kind, 7).exception(BOUND)

    told = getattr(error, "exception", error)
    assert kind in {type(told).__name__, getattr(told, "type_name", "")}
    assert "7" in str(told) or told.args == (7,)  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["BadTextInPickling", "ExitInPickling"])
def test_a_result_that_harms_whoever_pickles_it(same_worker: Master, kind: str) -> None:
    """It fails the task, and no more."""
    error = same_worker.submit(work.make, kind).exception(BOUND)

    assert isinstance(error, UnpicklableError)
    assert kind in str(error)


@pytest.mark.parametrize("kind", ["RefusesToBeRebuilt", "ExitsWhenRebuilt"])
def test_a_result_that_cannot_be_rebuilt(same_worker: Master, kind: str) -> None:
    """The task has failed here, in the master, which lives."""
    error = same_worker.submit(work.make, kind).exception(BOUND)

    assert isinstance(error, TaskFailed)
    assert "cannot be rebuilt" in str(error)


@pytest.mark.parametrize("kind", ["RefusesToBeRebuilt", "ExitsWhenRebuilt", "FrozenWhenRebuilt"])
def test_a_parameter_that_cannot_be_rebuilt(same_worker: Master, kind: str) -> None:
    """The task fails in the worker, which says what it was about."""
    error = same_worker.submit(work.square, work.make(kind)).exception(BOUND)

    assert error is not None
    told = repr(error) + _notes(error)
    expected = {"FrozenWhenRebuilt": "Frozen", "ExitsWhenRebuilt": "SystemExit"}
    assert expected.get(kind, "cannot be rebuilt") in told


def test_endless_recursion(same_worker: Master) -> None:
    """In the function, and in the pickling of its result."""
    assert isinstance(same_worker.submit(work.recurse).exception(BOUND), RecursionError)

    error = same_worker.submit(work.deep_list).exception(BOUND)

    assert isinstance(error, UnpicklableError)
    assert "recursion" in str(error).lower()


def test_an_endless_text(same_worker: Master) -> None:
    """100 MB of text are cut to something that can be read."""
    error = same_worker.submit(work.long_text).exception(HANG)

    assert error is not None
    told = str(error) if isinstance(error, TaskFailed) else _notes(error)
    assert "ValueError" in told + type(error).__name__
    assert "left out" in told
    assert len(told) < 100_000


def test_a_function_that_fails_to_be_rebuilt(
    same_worker: Master, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function of a module that the worker does not have."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "nowhere_else.py").write_text("def here(): return 1")
    there = importlib.import_module("nowhere_else")
    (tmp_path / "nowhere_else.py").unlink()  # else it would be found where the master looks

    error = same_worker.submit(there.here).exception(BOUND)

    assert isinstance(error, ModuleNotFoundError)
    assert "nowhere_else" in str(error)


def test_a_wrong_call(same_worker: Master) -> None:
    """A missing argument is what it is in plain Python."""
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        same_worker.submit(work.square).result(HANG)
