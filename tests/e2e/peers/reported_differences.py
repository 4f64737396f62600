"""Where programs differed in the workers of others, as their users have reported it.

Each one names the report: owner/repository#number of the issue or pull request at GitHub. The
programs share one executor with one worker.
"""

from __future__ import annotations

import dataclasses
import enum
import multiprocessing
import sys
import threading
import types
import typing
from collections import namedtuple
from pathlib import Path
from typing import Any, NamedTuple, NewType
from unittest import mock

import masterworker
import module_that_is_set
from running import execute

#: No wait takes longer.
HANG = 60

executor = masterworker.Executor(1)


def there(function: Any, *args: Any) -> Any:
    """Return what a function returns in the worker."""
    return executor.submit(function, *args).result(HANG)


COUNT = 123


def add_one() -> int:
    global COUNT
    COUNT += 1
    return COUNT


def program_a_task_that_counts() -> None:
    """cloudpipe/cloudpickle#452, #275, #187: each pickle had globals of its own."""
    assert [there(add_one) for _ in range(3)] == [124, 125, 126]
    assert COUNT == 123


arguments: Any = None


def parse() -> None:
    global arguments
    arguments = types.SimpleNamespace(level=3)


def program_arguments_that_are_parsed_in_a_function() -> None:
    """cloudpipe/cloudpickle#230: a lambda found the global as it was before."""
    parse()
    assert there(lambda: arguments.level) == 3
    arguments.level = 4
    assert there(lambda: arguments.level) == 4


FROM_A_METHOD = None


def read_it(_: int = 0) -> Any:
    return FROM_A_METHOD


class Experiment:
    def set_it(self) -> Any:
        global FROM_A_METHOD
        FROM_A_METHOD = "set"
        return list(executor.map(read_it, [1]))


def program_a_global_that_a_method_sets() -> None:
    """lithops-cloud/lithops#244: it was None in the function."""
    assert Experiment().set_it() == ["set"]


class BaseConfig:
    VALUE = 3
    table: typing.ClassVar[dict[str, int]] = {}


class Config(BaseConfig):
    pass


def of_config(config: Any) -> Any:
    return [config.VALUE, BaseConfig.VALUE, type(config).table, isinstance(config, BaseConfig)]


def program_settings_in_a_base_class() -> None:
    """allenai/allenact#116, HEXRD/hexrd#312: an object came, its class was as at the beginning."""
    config = Config()
    assert there(of_config, config) == [3, 3, {}, True]
    BaseConfig.VALUE = 5
    BaseConfig.table["dark"] = 1
    assert there(of_config, config) == [5, 5, {"dark": 1}, True]


class Ranks(enum.IntFlag):
    FIRST = 11
    SECOND = 37
    THIRD = 389


def program_flags_that_overlap() -> None:
    """cloudpipe/cloudpickle#558: they could not be rebuilt."""
    assert there(lambda: [Ranks.SECOND, Ranks.FIRST | Ranks.THIRD, list(Ranks)]) == [
        Ranks.SECOND,
        Ranks.FIRST | Ranks.THIRD,
        list(Ranks),
    ]
    assert there(lambda rank: rank is Ranks.SECOND, Ranks.SECOND)


LOCK = type(threading.Lock())


def program_classes_of_locks() -> None:
    """cloudpipe/cloudpickle#117: they could be sent, and not be opened."""
    assert there(lambda: isinstance(threading.Lock(), LOCK))


def program_code_without_a_module() -> None:
    """ray-project/ray#6620: a function that `exec` had made in an empty namespace."""
    space: dict[str, Any] = {}
    exec("LEVEL = 1\ndef level():\n    return LEVEL\n", space)  # noqa: S102
    assert there(space["level"]) == 1
    space["LEVEL"] = 2
    assert there(space["level"]) == 2


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    a: int
    b: str = "b"


class WithSlot:
    __slots__ = ("name",)


@dataclasses.dataclass
class FromSlots(WithSlot):
    number: int


def program_data_classes_with_slots() -> None:
    """python/cpython#88165, #105877: frozen ones, and those below a class with slots."""
    assert there(lambda each: [each, dataclasses.replace(each, a=2)], Frozen(1)) == [
        Frozen(1),
        Frozen(2),
    ]
    thing = FromSlots(1)
    thing.name = "it"
    back = there(lambda each: each, thing)
    assert (back.number, back.name, type(back)) == (1, "it", FromSlots)


class World:
    def answer(self) -> int:
        return 1


def ask_world(_: int = 0) -> Any:
    return World().answer()


def program_a_method_that_is_patched() -> None:
    """python/cpython#135583, joblib/joblib#745: workers had the original."""
    with mock.patch.object(World, "answer", lambda _: 42):
        assert there(ask_world) == 42
    assert there(ask_world) == 1


def ask_module() -> Any:
    return [module_that_is_set.LEVEL, module_that_is_set.Thing().answer()]


def program_a_module_that_is_patched() -> None:
    """joblib/joblib#745, #923, pytest-dev/pytest#12045: an imported one, by `mock`."""
    assert there(ask_module) == [0, 1]
    with (
        mock.patch.object(module_that_is_set, "LEVEL", 7),
        mock.patch("module_that_is_set.Thing.answer", lambda _: 5),
    ):
        assert ask_module() == [7, 5]
        assert there(ask_module) == [7, 5]
    assert there(ask_module) == [0, 1]


UserId = NewType("UserId", int)


class Record(NamedTuple):
    value: int
    kind: type = UserId  # type: ignore[assignment]


class Outer:
    Point = namedtuple("Point", "x y")  # noqa: PYI024


def program_types_that_are_made_by_calls() -> None:
    """cloudpipe/cloudpickle#520, #460, #111, devitocodes/devito#1087."""
    assert there(lambda: UserId(3)) == 3
    assert there(lambda record: [record, record.kind is UserId], Record(1)) == [Record(1), True]


def program_a_named_tuple_inside_a_class() -> None:
    """devitocodes/devito#1087: its name says nothing of the class around it."""
    assert there(lambda point: [point, type(point) is Outer.Point], Outer.Point(1, 2)) == [
        (1, 2),
        True,
    ]


class Word(str):
    """A text that is made of two things."""

    def __new__(cls, text: str, kind: str) -> Word:
        made = super().__new__(cls, text)
        made.kind = kind  # type: ignore[attr-defined]
        return made

    def __getnewargs__(self) -> tuple[str, str]:
        return str(self), self.kind  # type: ignore[attr-defined]


def program_subclasses_of_texts() -> None:
    """python/cpython#74204: `__new__` was called with less."""
    word = there(lambda each: each, Word("a", "noun"))
    assert (word, word.kind, type(word)) == ("a", "noun", Word)


class Side(enum.Enum):
    pass


def program_a_class_that_is_made_later() -> None:
    """neich/neuronumba#28: an enumeration that is made when the program knows its names."""
    global Side
    Side = enum.Enum("Side", ["LEFT", "RIGHT"])  # type: ignore[misc]
    assert there(lambda side: [side is Side.LEFT, list(Side)], Side.LEFT) == [True, list(Side)]


MISSING = object()


class Mark:
    def __repr__(self) -> str:
        return "MARK"

    def __reduce__(self) -> str:
        return "MARK"


MARK = Mark()


def program_marks() -> None:
    """devitocodes/devito#814: what there is one of was another one after its journey."""
    assert there(lambda given: given is MARK, MARK)
    assert there(lambda given=MISSING: given is MISSING)
    assert there(lambda: MARK) is MARK


def of_process() -> Any:
    process = multiprocessing.current_process()
    return [process.name != "MainProcess", multiprocessing.parent_process() is not None]


def program_which_process_this_is() -> None:
    """python/cpython#111627: a worker that takes itself for the program does its work twice."""
    assert of_process() == [False, False]
    assert there(of_process) == [True, True]


def program_a_module_that_no_file_has() -> None:
    """cloudpipe/cloudpickle#199: it was as it had been made, not as it was."""
    module = types.ModuleType("made_here")
    exec("x = 1\ndef get():\n    return x\n", vars(module))  # noqa: S102
    assert there(lambda: module.x) == 1
    module.x = 2  # type: ignore[attr-defined]
    assert there(lambda: module.x) == 2


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    with executor:
        execute(globals())
