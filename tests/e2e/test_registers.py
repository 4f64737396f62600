"""What a program enters in registers of the standard library is there in its tasks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support import HANG, run_script

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import functools

@functools.singledispatch
def show(x):
    return "any"
"""
PROGRAM = """
import codecs, copy, copyreg, csv, json, multiprocessing, shutil, sqlite3, sys
import xml.etree.ElementTree as ET
from multiprocessing import reduction
from masterworker import Master
import shown
LIBRARY

class C:
    def __init__(self, x=0):
        self.x = x

def rebuild(x): return C(x * 10)
def reduce_c(c): return rebuild, (c.x,)
def on_error(e): return ("?", e.end)
def adapt(c): return c.x + 1
def pack(*args, **kwargs): pass
class Dialect(csv.excel): delimiter = ";"
def of_c(x): return f"C {x.x}"

def in_copyreg(): return copy.copy(C(2)).x, C in copyreg.dispatch_table, pickled()
def pickled():
    import pickle
    return pickle.loads(pickle.dumps(C(3))).x
def in_a_generic_function(): return shown.show(C(4)), shown.show("")
def in_error_handlers(): return "\\u00e4".encode("ascii", "mine").decode()
def in_dialects(): return csv.get_dialect("mine").delimiter, len(csv.list_dialects())
def in_reducers(): return C in reduction.ForkingPickler._extra_reducers
def in_namespaces(): return ET.tostring(ET.Element("{urn:x}a")).decode()
def in_adapters(): return sqlite3.connect(":memory:").execute("select ?", (C(3),)).fetchone()
def in_formats(): return [name for name, _ in shutil.get_archive_formats() if name == "mine"]
def in_table(): return C in copyreg.dispatch_table
ALL = [in_copyreg, in_a_generic_function, in_error_handlers, in_dialects, in_reducers,
       in_namespaces, in_adapters, in_formats]

def enter():
    copyreg.pickle(C, reduce_c)
    shown.show.register(C, of_c)
    codecs.register_error("mine", on_error)
    csv.register_dialect("mine", Dialect)
    reduction.register(C, reduce_c)
    ET.register_namespace("mine", "urn:x")
    sqlite3.register_adapter(C, adapt)
    shutil.register_archive_format("mine", pack, [], "mine")

def there(number): return json.dumps(ALL[number]())

if __name__ == "__main__":
    numbers = range(len(ALL))
    if BEFORE:
        enter()
    with Master(workers=1) as master:
        if not BEFORE:
            master.submit(reduce_c, C()).result(60)
            enter()
        with multiprocessing.get_context("fork").Pool(1) as pool:
            found = [pool.map(there, numbers)]
        found.append([json.dumps(master.submit(each).result(60)) for each in ALL])
        found.append(list(master.map(there, numbers)))
        del copyreg.dispatch_table[C]
        csv.unregister_dialect("mine")
        found.append([C in copyreg.dispatch_table, csv.list_dialects()])
        dialects = master.submit(csv.list_dialects).result(60)
        found.append([master.submit(in_table).result(60), dialects])
    print(json.dumps(found))
"""


@pytest.mark.parametrize("library", ["", "import numpy"])
@pytest.mark.parametrize("before", [True, False])
def test_what_is_entered_in_registers(tmp_path: Path, library: str, before: bool) -> None:
    """Item by item: what libraries have entered there as well may not be sent at all."""
    if library:
        pytest.importorskip("numpy")
    (tmp_path / "shown.py").write_text(MODULE)
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.replace("LIBRARY", library).replace("BEFORE", str(before)))
    ran = run_script(path, timeout=4 * HANG)
    pool, submitted, mapped, here, there = json.loads(ran.out)
    assert submitted == mapped == pool
    assert there == here
    assert "cannot be" not in ran.err


def test_what_cannot_be_read_or_sent_is_named(tmp_path: Path) -> None:
    """Once."""
    path = tmp_path / "program.py"
    path.write_text("""
import codecs, sqlite3
from masterworker import Master

class C: pass
def search(name): return None
def work(_=0): return 1
def adapter(): yield

codecs.register(search)
sqlite3.register_adapter(C, adapter().send)
with Master(workers=1) as master:
    print([master.submit(work).result(60) for _ in range(3)])
""")
    ran = run_script(path, timeout=4 * HANG)
    assert ran.out.strip() == "[1, 1, 1]"
    assert ran.err.count("calls codecs.register, which may set something") == 1
    assert ran.err.count("sqlite3.adapters") == 1
