"""One function unpickles, and who may call it; hostile pickles lie where they are until then."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import masterworker
from masterworker import wire
from masterworker.core.task import FAILURE, RESULT
from masterworker.data import record
from masterworker.data.outcome import open_finished, value_or_error
from masterworker.data.pickling import dumps, loads
from masterworker.errors import TaskFailed
from security.visitors import GUEST, OWNER, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = Path(masterworker.__file__).parents[1]
#: The only place that unpickles, and the only one that executes source text.
UNPICKLER = "masterworker/data/pickling.py"
EXECUTOR = "masterworker/worker/script.py"
#: The only place that rebuilds code, which is a part of pickles.
REBUILDER = "masterworker/data/rebuilding.py"

#: What executes a text of this library, or the user's program, and nothing that was sent; and what
#: names a library without loading it.
TEXTS = {
    ("masterworker/engine/elsewhere.py", "exec"),
    ("masterworker/engine/elsewhere.py", "eval"),
    ("masterworker/mpi.py", "exec"),
    ("masterworker/data/places.py", "the name 'pandas'"),
    ("masterworker/data/registers.py", "the name 'pickle'"),
    ("masterworker/journal/kinds.py", "the name 'pandas'"),
    ("masterworker/journal/opening.py", "the name 'pandas'"),
    ("masterworker/journal/tables.py", "the name 'pandas'"),
    ("masterworker/surroundings/installed.py", "the name 'pandas'"),
    ("masterworker/surroundings/libraries.py", "the name 'pandas'"),
    ("masterworker/surroundings/science.py", "the name 'torch'"),
}

#: Modules that rebuild objects from bytes: what of them is harmless; None: nothing is.
MODULES: dict[str, set[str] | None] = {
    "pickle": {"dumps", "dump", "Pickler", "PickleBuffer"},
    "_pickle": {"dumps", "dump", "Pickler"},
    "cPickle": {"dumps", "dump", "Pickler"},
    "cloudpickle": {"dumps", "dump", "Pickler", "CloudPickler", "cloudpickle"},
    "marshal": {"dumps", "version"},
    "copyreg": {"__newobj__", "dispatch_table"},
    "joblib": {
        "cpu_count",
        "register_parallel_backend",
        "Parallel",
    }  # what its backends are made of
    | {"AutoBatchingMixin", "FallbackToBackend", "ParallelBackendBase", "SequentialBackend"}
    | {"ThreadingBackend", "_get_backing_memmap", "_reduce_memmap_backed"},
    **dict.fromkeys(("dill", "jsonpickle", "shelve", "yaml")),
    **dict.fromkeys(("pandas", "torch")),
}
#: Constants and errors that anybody may use.
HARMLESS = {"HIGHEST_PROTOCOL", "DEFAULT_PROTOCOL", "PicklingError", "PickleError"}
NUMPY_LOADERS = {"load", "fromfile", "memmap", "loadtxt"}
CALLS = {"eval", "__import__"}


def violations(source: str, where: str) -> Iterator[str]:
    """What in a module could execute what somebody has sent, other than in its one place."""
    tree = ast.parse(source)
    names: dict[str, str] = {}  # local name: module
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = alias.name.partition(".")[0]
    for node in ast.walk(tree):
        for what in (*_imported(node), *_used(node, names), *_called(node)):
            if not _is_in_its_place(what, where, tree, node):
                yield f"{where}:{getattr(node, 'lineno', 0)}: {what}"


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if MODULES.get(alias.name.partition(".")[0], set()) is None:
                yield alias.name
    elif isinstance(node, ast.ImportFrom) and not node.level:
        module = (node.module or "").partition(".")[0]
        for alias in node.names:
            if not _is_harmless(module, alias.name):
                yield f"{module}.{alias.name}"


def _used(node: ast.AST, names: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        module = names.get(node.value.id, "")
        if not _is_harmless(module, node.attr):
            yield f"{module}.{node.attr}"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        asked = node.func.id in {"getattr", "vars"} and node.args
        if asked and isinstance(node.args[0], ast.Name) and names.get(node.args[0].id) in MODULES:
            yield f"{node.func.id} of {names[node.args[0].id]}"


def _called(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
        yield "allow_pickle"
    if isinstance(node, ast.Name) and node.id in {*CALLS, "exec"}:
        yield node.id
    if isinstance(node, ast.Attribute) and node.attr in {"find_class", "persistent_load"}:
        yield node.attr
    if isinstance(node, ast.Attribute) and node.attr in {"eval", "exec", "__import__"}:
        yield f"something.{node.attr}"
    if (
        isinstance(node, ast.Constant)
        and node.value in MODULES
        and node.value not in {"yaml", "joblib"}
    ):
        yield f"the name {node.value!r}"


def _is_harmless(module: str, name: str) -> bool:
    if module == "numpy":
        return name not in NUMPY_LOADERS
    allowed = MODULES.get(module, ())
    if allowed == ():
        return True
    return allowed is not None and name in allowed | HARMLESS


def _is_in_its_place(what: str, where: str, tree: ast.Module, node: ast.AST) -> bool:
    if (where, what) in TEXTS:
        return True
    if what == "exec":
        return where == EXECUTOR
    places = {"pickle.loads": (UNPICKLER, "loads"), "marshal.loads": (REBUILDER, "load_code")}
    place, name = places.get(what, ("", ""))
    if where != place:
        return False
    named = [stated for stated in tree.body if _name_of(stated) == name]
    return len(named) == 1 and any(inner is node for inner in ast.walk(named[0]))


def _name_of(stated: ast.stmt) -> str:
    """What a function, or a constant with its type, is called."""
    if isinstance(stated, ast.AnnAssign) and isinstance(stated.target, ast.Name):
        return stated.target.id
    return stated.name if isinstance(stated, ast.FunctionDef) else ""


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def test_one_function_unpickles() -> None:
    """In the whole code base, also the classic interface."""
    found = [m.relative_to(SOURCE).as_posix() for m in modules()]
    assert {UNPICKLER, EXECUTOR} < set(found)
    assert "Scientific/DistributedComputing/TaskManager.py" in found
    told = [
        v for m in modules() for v in violations(m.read_text("utf-8"), str(m.relative_to(SOURCE)))
    ]
    assert told == []


@pytest.mark.parametrize("where", ["masterworker/client.py", UNPICKLER, EXECUTOR])
@pytest.mark.parametrize(
    "planted",
    [
        "import pickle\npickle.loads(b'')",
        "import pickle\npickle.load(f)",
        "import pickle\npickle.Unpickler(f)",
        "import pickle as p\np.loads(b'')",
        "import pickle\nload = pickle.loads",
        "import pickle\ngetattr(pickle, 'lo' + 'ads')(b'')",
        "import pickle\nvars(pickle)['loads'](b'')",
        "import _pickle\n_pickle.loads(b'')",
        "import cPickle\ncPickle.loads(b'')",
        "from pickle import loads",
        "from pickle import loads as harmless",
        "from pickle import *",
        "from pickle import Unpickler\nclass Mine(Unpickler): pass",
        "import cloudpickle\ncloudpickle.loads(b'')",
        "from cloudpickle import load",
        "import importlib\nimportlib.import_module('pickle')",
        "import sys\nsys.modules['pickle']",
        "__import__('pi' + 'ckle').loads(b'')",
        "import marshal\nmarshal.loads(b'')",
        "from marshal import loads",
        "import shelve",
        "import dill",
        "import joblib\njoblib.load('x')",
        "from joblib import load",
        "import copyreg\ncopyreg.pickle(int, f)",
        "import yaml\nyaml.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy\nnumpy.load('x')",
        "from numpy import load",
        "import pandas",
        "import torch",
        "eval('1')",
        "import builtins\nbuiltins.eval('1')",
        "import builtins\nbuiltins.exec('1')",
        "f = eval",
        "def late():\n    import pickle\n    return pickle.loads(b'')",
        "def loads(data):\n    import pickle\n    return pickle.load(data)",
    ],
)
def test_planted_violations_are_noticed(where: str, planted: str) -> None:
    assert list(violations(planted, where))


def test_what_is_allowed_is_allowed_in_one_place_only() -> None:
    """The same line elsewhere is a violation."""
    one = "import pickle\ndef loads(data):\n    return pickle.loads(data)"
    assert list(violations(one, UNPICKLER)) == []
    assert list(violations(one, "masterworker/wire.py"))
    assert list(violations(one.replace("def loads", "def other"), UNPICKLER))
    assert list(violations("exec('1')", EXECUTOR)) == []
    assert list(violations("exec('1')", UNPICKLER))
    harmless = "import pickle, cloudpickle, numpy\npickle.dumps(1, pickle.HIGHEST_PROTOCOL)\n"
    assert list(violations(harmless + "numpy.empty(3)", "masterworker/wire.py")) == []


def test_the_manager_does_not_even_know_the_unpickler() -> None:
    """What is imported for it to run has no way to unpickle: `data.pickling` is not among it."""
    program = (
        "import sys, masterworker.manager, masterworker.manager.guest_operations, "
        "masterworker.client, masterworker.wire, "
        "masterworker.transport.pyro, masterworker.security.tls, masterworker.status.text\n"
        "assert 'masterworker.data.pickling' not in sys.modules\n"
        "assert 'masterworker.manager.guest_operations' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


class Hostile:
    """Touches a file as soon as somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.close, (Touch(self.path),)


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.open, (str(self.path), os.O_CREAT | os.O_WRONLY)


def test_the_hostile_object_is_hostile(tmp_path: Path) -> None:
    loads(dumps(Hostile(tmp_path / "it")))
    assert (tmp_path / "it").exists()


@pytest.mark.parametrize("results", [wire.ANYTHING, wire.PLAIN])
@pytest.mark.parametrize("peer", [OWNER, GUEST])
@pytest.mark.parametrize("kind", [RESULT, FAILURE])
def test_a_hostile_pickle_is_opened_by_the_caller_or_never(
    tmp_path: Path, results: str, peer: Any, kind: int
) -> None:
    """As parameters, data, states and outcome it passes through the manager; who opens, asked."""
    job, evil = Job(results), dumps(Hostile(tmp_path / "it"))
    boss, worker = job.hire(OWNER), job.hire(peer)
    boss.client.put(wire.DATA, "x", evil)
    boss.client.put_state({"x": evil})
    boss.client.request("a", [evil, evil])
    for _ in range(2):
        lease = worker.fetch()
        assert lease.payload == evil
        record_of_it = record.Failure("E", "text", "", evil).encode()
        worker.report(lease, evil if kind == RESULT else record_of_it, kind)
    worker.client.census(), worker.client.story(1), worker.client.get(wire.DATA, "x")
    (first, second), _ = boss.client.collect(boss.id, want=2)
    job.manager.check()
    job.manager.terminate()
    assert not (tmp_path / "it").exists()

    never = peer is GUEST and results == wire.PLAIN
    for open_it in (lambda: open_finished(first), lambda: value_or_error(second)):
        if kind == RESULT and not never:
            open_it()
        else:
            assert isinstance(error_of(open_it), TaskFailed)
        assert (tmp_path / "it").exists() is not never
        (tmp_path / "it").unlink(missing_ok=True)


def error_of(call: Callable[[], Any]) -> Any:
    """The error that a call returns in second place, or raises."""
    try:
        return call()[1]
    except TaskFailed as error:
        return error
