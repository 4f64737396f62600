"""Which attributes code sets, of what its global names or its own imports stand for."""

from __future__ import annotations

import opcode
import re
import sys
from types import CodeType
from typing import Any, Final

from masterworker.named import NamedTuple

#: Methods of lists, sets, dictionaries, their kin and arrays that change them.
_CHANGING: Final = frozenset(
    (
        *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"),
        *("reverse", "setdefault", "sort", "update", "difference_update", "intersection_update"),
        *("symmetric_difference_update", "move_to_end", "subtract", "appendleft", "extendleft"),
        *("popleft", "rotate", "fill", "byteswap", "frombytes", "resize", "put", "partition"),
        *("__setitem__", "__delitem__", "__iadd__", "__ior__"),
    )
)
#: Functions that change what they are given first.
_CHANGERS: Final = frozenset(
    (
        *("heappush", "heappop", "heapify", "heapreplace", "heappushpop", "shuffle"),
        *("insort", "insort_left", "insort_right", "setitem", "delitem", "copyto", "putmask"),
    )
)
_OPS: Final = opcode.opmap
#: Functions that set attributes, or give what can be changed.
_CALLS: Final = _CHANGERS | {"setattr", "vars", "__dict__", "patch"}
#: In a chain: an item of what stands before it, or a slice.
ITEM: Final = "[]"
_OF_ITEMS: Final = 26  # the operator of BINARY_OP that Python 3.14 has for BINARY_SUBSCR
#: Steps that set items, and where what holds them is on the stack then.
_SET_AT: Final = {"STORE_SUBSCR": 2, "DELETE_SUBSCR": 2, "STORE_SLICE": 3}
_LOAD: Final = ("LOAD_GLOBAL", "LOAD_NAME")
_ATTRIBUTE: Final = ("LOAD_ATTR", "LOAD_METHOD")
#: Steps that take something from the stack, and leave nothing that they have made.
_ONLY_TAKE: Final = (
    "STORE_",
    "DELETE_",
    "POP_",
    "RETURN_",
    "RESUME",
    "NOP",
    "KW_NAMES",
    "EXTENDED_ARG",
    "CACHE",
    "JUMP",
    "RAISE",
    "RERAISE",
    "COPY_FREE",
    "MAKE_CELL",
    "NOT_TAKEN",
)
_NEW_LOCALS: Final = 2  # a flag of the code of functions
#: Stands before the name of a module that code imports itself.
IMPORTED: Final = "import "
#: How many codes are remembered.
_KEPT: Final = 20_000

Chain = tuple[str, tuple[str, ...]]


class Found(NamedTuple):
    """What code sets: each is a name, and attributes; `import m` is a module by its name."""

    sets: list[Chain]
    #: Any attribute of these may be set.
    wholes: list[Chain]
    #: What these are may be changed in place.
    changes: list[Chain]
    #: Globals of its own module that are set, or changed in place, by functions.
    globals: list[str]
    #: What is set or changed before the same code imports a module: its name, and of that.
    early: list[tuple[str, list[Chain]]]


#: By identity, with the code: to compare codes takes longer.
_known: Final = dict[int, tuple[CodeType, "Found | None"]]()


def found_in(code: CodeType) -> Found | None:
    """Return what code sets, and functions inside it; None: nothing. Costs some us for each."""
    known = _known.get(id(code))
    if known is not None:
        return known[1]
    if len(_known) >= _KEPT:
        _known.clear()
    found = Found([], [], [], [], [])
    _look(code, found, {})
    _known[id(code)] = code, found if any(found) else None
    return _known[id(code)][1]


def _look(code: CodeType, found: Found, imported: dict[str, str]) -> None:
    if _may_set(code, has_imports=bool(imported)):
        imported = dict(imported)
        _Reader(code, found, imported).read()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _look(constant, found, imported)


def _pattern(loads: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Make patterns of steps: one of what sets something, one of a method of something."""

    def steps(which: str) -> bytes:
        # Some are the compiler's own in later Pythons, with numbers that no byte holds.
        numbers = [_OPS.get(each, 256) for each in which.split()]
        return b"[" + re.escape(bytes(each for each in numbers if each < 256)) + b"]"

    chain = steps(loads) + b"\x00*(?:" + steps("LOAD_ATTR LOAD_METHOD") + b"\x00*)*"
    items = steps("BINARY_SUBSCR BINARY_SLICE BINARY_OP") + b"\x00*"
    items += b"(?:" + steps("LOAD_ATTR") + b"\x00*)*"
    sets = (
        chain + steps("STORE_ATTR"),
        steps("SWAP") + steps("STORE_ATTR"),
        steps("STORE_GLOBAL"),
        steps(loads) + b".{0,60}?" + steps("STORE_SUBSCR DELETE_SUBSCR STORE_SLICE"),
        steps(loads) + b".{0,36}?" + items + steps("STORE_ATTR"),
    )
    method = b"(?:" + chain + b"|" + items + b")(" + steps("LOAD_ATTR LOAD_METHOD") + b")"
    return re.compile(b"|".join(sets), re.DOTALL), re.compile(method, re.DOTALL)


_GLOBALS: Final = _pattern("LOAD_GLOBAL LOAD_NAME")
#: The same, where code has imports of its own, whose names are local ones.
_ALL: Final = _pattern("LOAD_GLOBAL LOAD_NAME LOAD_FAST LOAD_FAST_BORROW LOAD_DEREF LOAD_CLOSURE")


#: Steps of which each pattern of what sets something needs one.
_SETTING: Final = [
    _OPS[each]
    for each in ("STORE_ATTR", "STORE_GLOBAL", "STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE")
    if each in _OPS
]


def _may_set(code: CodeType, *, has_imports: bool) -> bool:
    """Return quickly whether it is worth while to read code."""
    steps, names = code.co_code[::2], code.co_names
    if not names:
        return False
    has_imports = has_imports or _OPS["IMPORT_NAME"] in steps
    if has_imports and any(isinstance(each, CodeType) for each in code.co_consts):
        return True  # which may set something of what is imported here
    sets, method = _ALL if has_imports else _GLOBALS
    if not _CALLS.isdisjoint(names) or (any(map(steps.count, _SETTING)) and sets.search(steps)):
        return True
    if _CHANGING.isdisjoint(names):
        return False
    shift = sys.version_info >= (3, 12)
    for each in method.finditer(steps):
        at = each.start(1)
        index = code.co_code[2 * at + 1] >> (shift and steps[at] == _OPS["LOAD_ATTR"])
        if steps[at - 1] == _OPS["EXTENDED_ARG"] or names[index] in _CHANGING:
            return True
    return False


class _Reader:
    """Reads the steps of one code, and follows what is on the stack: chains, and other things."""

    def __init__(self, code: CodeType, found: Found, imported: dict[str, str]) -> None:
        self._code, self._found, self._imported = code, found, imported
        self._is_function = bool(code.co_flags & _NEW_LOCALS)
        self._stack: list[Any] = []
        self._import = ""
        #: How much had been found before this code.
        self._begin = len(found.sets), len(found.changes)
        self._seen: set[str] = set()

    def read(self) -> None:
        import dis  # not loaded by masters whose programs set nothing

        for step in dis.get_instructions(self._code):
            if step.opcode < dis.HAVE_ARGUMENT or step.arg is None:
                effect = dis.stack_effect(step.opcode, jump=False)
            else:
                effect = dis.stack_effect(step.opcode, step.arg, jump=False)
            if step.opname != "PRECALL":  # of Python 3.11, where it does a part of what follows
                is_call = step.opname == "CALL"
                self._step(step.opname, step.argval, -1 - (step.arg or 0) if is_call else effect)

    def _step(self, op: str, value: Any, effect: int) -> None:
        top = self._top(1)
        if op.startswith("STORE_") and self._import and op != "STORE_ATTR":
            self._note_import(op, value)
        elif op == "STORE_ATTR" and top is not None:
            self._note(self._found.sets, (top[0], (*top[1], value)))
        elif op in _SET_AT and (changed := self._top(_SET_AT[op])) is not None:
            self._note(self._found.changes, changed)
        elif op == "STORE_GLOBAL" and self._is_function:
            self._found.globals.append(value)
        elif op in ("CALL", "CALL_FUNCTION"):
            self._call(int(value))
        elif op == "IMPORT_NAME":
            self._import = value
            self._note_early()
        elif op == "IMPORT_FROM":
            self._import = f"{self._import}.{value}"
            self._note_early()
        self._follow(op, value, effect)

    def _follow(self, op: str, value: Any, effect: int) -> None:
        """Do to our stack what a step does to Python's, as far as it concerns us."""
        stack = self._stack
        if op == "COPY":
            stack.append(self._item(value))
        elif op == "SWAP":
            if len(stack) >= value:
                stack[-1], stack[-value] = stack[-value], stack[-1]
        elif op in _ATTRIBUTE:
            made = self._attribute(value)
            del stack[-1:]
            stack += [made] if effect == 0 else [made, None]
        elif op in ("BINARY_SUBSCR", "BINARY_SLICE") or (op == "BINARY_OP" and value == _OF_ITEMS):
            del stack[len(stack) + effect :]
            if (top := self._top(1)) is not None:  # a part of it, which may be changed
                stack[-1] = top[0], (*top[1], ITEM)
        elif effect > 0:
            stack += [None] * (effect - 1) + [self._loaded(op, value)]
        else:
            del stack[len(stack) + effect :]
            if stack and not op.startswith(_ONLY_TAKE):
                stack[-1] = None

    def _note_early(self) -> None:
        name, (sets, changes) = self._import, self._begin
        before = self._found.sets[sets:] + self._found.changes[changes:]
        if before and name not in self._seen:
            self._found.early.append((name, before))
        self._seen.add(name)

    def _note(self, where: list[Chain], chain: Chain) -> None:
        """Note a chain; what is done to an item changes what holds it."""
        base, path = chain
        if ITEM in path:
            self._found.changes.append((base, path[: path.index(ITEM) + 1]))
        else:
            where.append(chain)

    def _item(self, position: int) -> Any:
        return self._stack[-position] if len(self._stack) >= position else None

    def _top(self, position: int) -> Chain | None:
        found = self._item(position)
        return found if isinstance(found, tuple) else None

    def _loaded(self, op: str, value: Any) -> Any:
        """Return what stands for a value on the stack: a chain, a text, or nothing of interest."""
        if op == "LOAD_CONST":
            return value if isinstance(value, str) else None
        if op.startswith("LOAD_") and isinstance(value, str) and value in self._imported:
            return f"{IMPORTED}{self._imported[value]}", ()
        return (value, ()) if op in _LOAD else None

    def _attribute(self, name: str) -> Chain | None:
        top = self._top(1)
        if top is None:
            return ("", (name,)) if name in _CHANGERS else None  # a method of anything
        if name == "__dict__":
            self._note(self._found.wholes, top)
        elif name in _CHANGING:
            self._note(self._found.changes, top)
        return top[0], (*top[1], name)

    def _call(self, count: int) -> None:
        """Look at the arguments of a call of `setattr` or `vars`, or of `mock.patch`."""
        callees = self._top(count + 1), self._top(count + 2)
        of = self._top(count)
        called = {chain[1][-1] if chain[1] else chain[0] for chain in callees if chain is not None}
        of_object = {chain[1][-1] for chain in callees if chain is not None and chain[1]}
        if "patch" in called and isinstance(named := self._item(count), str):
            module, *path = named.split(".")
            self._found.sets.append((f"{IMPORTED}{module}", tuple(path)))
        if of is None:
            return
        if not of_object.isdisjoint(("object", "setattr")):
            if count > 1 and isinstance(name := self._item(count - 1), str):
                self._note(self._found.sets, (of[0], (*of[1], name)))
        elif "dict" in of_object or not called.isdisjoint(_CHANGERS):
            self._note(self._found.changes, of)
        elif ("setattr", ()) in callees and count == 3:
            name = self._item(2)
            if isinstance(name, str):
                self._note(self._found.sets, (of[0], (*of[1], name)))
            else:
                self._note(self._found.wholes, of)
        elif ("vars", ()) in callees and count == 1:
            self._note(self._found.wholes, of)

    def _note_import(self, op: str, name: str) -> None:
        if op in ("STORE_FAST", "STORE_DEREF"):
            is_plain = name == self._import.partition(".")[0]
            self._imported[name] = name if is_plain else self._import
        self._import = ""
