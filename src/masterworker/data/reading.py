"""Reads compiled code step by step: what it sets, of what its names stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from masterworker.data.changing import CHANGERS, CHANGING
from masterworker.data.steps import steps_of
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from types import CodeType

#: In a chain: an item of what stands before it, or a slice.
ITEM: Final = "[]"
#: Stands before the name of a module that code imports itself.
IMPORTED: Final = "import "
#: Stands before the position of a parameter, or before the name of an outer function's variable.
PARAMETER: Final = "parameter "
VARIABLE: Final = "variable "
#: In a chain: what a call of that returns which stands before it.
RESULT: Final = "()"
#: Stands before the number of a display whose items are chains.
SEVERAL: Final = "several "
#: The module whose code it is.
THIS: Final = "this module"
#: Classes whose methods are given what they change: `dict.__setitem__(d, key, value)`.
_KINDS: Final = frozenset(("dict", "list", "set"))
_SPACE: Final = "__dict__"
_OF_ITEMS: Final = 26  # the operator of BINARY_OP that Python 3.14 has for BINARY_SUBSCR
#: Steps that set items, and where what holds them is on the stack then.
_SET_AT: Final = {"STORE_SUBSCR": 2, "DELETE_SUBSCR": 2, "STORE_SLICE": 3}
_LOAD: Final = ("LOAD_GLOBAL", "LOAD_NAME")
_ATTRIBUTE: Final = ("LOAD_ATTR", "LOAD_METHOD")
_LOCALS: Final = ("STORE_FAST", "STORE_DEREF")
_CONSTANT: Final = ("LOAD_CONST", "LOAD_SMALL_INT")
#: Functions whose result has the items of their first argument.
_SAME_ITEMS: Final = frozenset(("list", "tuple", "iter", "enumerate", "reversed", "sorted", "next"))
#: Steps that make a container of what is on the stack.
_DISPLAYS: Final = ("BUILD_TUPLE", "BUILD_LIST", "BUILD_SET", "BUILD_MAP", "BUILD_CONST_KEY_MAP")
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
    #: What is taken away.
    deletes: list[Chain]
    #: What is called with what, and at which position, or under which name: it may be changed.
    passes: list[tuple[Chain, int | str, Chain]]
    #: What it returns.
    returns: list[Chain]
    #: What is set or changed before the same code imports a module: its name, and of that.
    early: list[tuple[str, list[Chain]]]


class Reader:
    """Reads the steps of one code, and follows what is on the stack: chains, and other things.

    Args:
        code: The code.
        found: What it sets is entered there.
        imported: What names mean that outer functions have imported; those of this code are added.
        is_main: What it gives to functions is noted.
        is_inner: Its parameters are not those of the function that is asked about.
    """

    def __init__(
        self,
        code: CodeType,
        found: Found,
        imported: dict[str, str],
        *,
        is_main: bool,
        is_inner: bool,
    ) -> None:
        self._code, self._found, self._imported = code, found, imported
        self._notes_passes = is_main
        self._is_function = bool(code.co_flags & _NEW_LOCALS)
        self._stack: list[Any] = []
        #: What has been imported and gets its name next; and the module that it is from.
        self._import = self._module = ""
        #: It is imported from there; else it is that module, or the whole that it is a part of.
        self._is_from = self._is_named = False
        #: How much had been found before this code.
        self._begin = len(found.sets), len(found.changes)
        self._seen: set[str] = set()
        #: What the last call has returned.
        self._made: Chain | None = None
        #: The items of tuples, lists and dictionaries that the code makes of chains.
        self._several: list[list[Chain]] = []
        #: Names of the last arguments of the next call.
        self._keywords: tuple[str, ...] = ()
        #: What local names stand for.
        self._locals: dict[str, Chain | None] = {}
        if self._is_function and not is_inner:
            count = code.co_argcount + code.co_kwonlyargcount
            for number, name in enumerate(code.co_varnames[:count]):
                self._locals[name] = f"{PARAMETER}{number}", ()
            self._locals.update({name: (f"{VARIABLE}{name}", ()) for name in code.co_freevars})

    def read(self) -> None:
        """Read it all."""
        for op, value, effect in steps_of(self._code):
            if op == "KW_NAMES":
                self._keywords = self._code.co_consts[value]
            elif op == "CALL_KW":  # of Python 3.13, with the names of arguments on the stack
                self._keywords = tuple(self._stack[-1] or ())
                del self._stack[-1:]
                op = "CALL"  # noqa: PLW2901  that is all that differs
            if op != "PRECALL":  # of Python 3.11, where it does a part of what follows
                self._made = None
                self._step(op, value, -1 - value if op == "CALL" else effect)

    def _step(self, op: str, value: Any, effect: int) -> None:
        top = self._top(1)
        if op.startswith("STORE_") and self._import and op != "STORE_ATTR":
            self._note_import(op, value)
        elif op == "STORE_ATTR" and top is not None:
            self._note(self._found.sets, (top[0], (*top[1], value)))
        elif op == "DELETE_ATTR" and top is not None:
            self._note(self._found.deletes, (top[0], (*top[1], value)))
        elif op in _SET_AT and (changed := self._top(_SET_AT[op])) is not None:
            self._note(self._found.changes, changed)
        elif op in ("STORE_GLOBAL", "DELETE_GLOBAL") and self._is_function:
            self._found.globals.append(value)
            if op == "DELETE_GLOBAL":
                self._found.deletes.append((THIS, (value,)))
        elif op in _LOCALS or (op == "STORE_NAME" and top is not None and ITEM in top[1]):
            self._store(op, value, top)
        elif op == "CALL":
            self._call(int(value))
            self._keywords = ()
        elif op == "RETURN_VALUE" and self._notes_passes and top is not None:
            self._found.returns.append(top)
        elif op in ("IMPORT_NAME", "IMPORT_FROM"):
            self._begin_import(op, value)
        self._follow(op, value, effect)

    def _store(self, op: str, name: str, top: Chain | None) -> None:
        """Note that a local name stands for something else, or a variable of an outer function."""
        if op == "STORE_DEREF" and name in self._code.co_freevars:
            if self._locals.get(name) is not None:
                self._found.sets.append((f"{VARIABLE}{name}", ()))
        else:
            self._locals[name] = top

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
            key = self._item(1)
            del stack[len(stack) + effect :]
            if (top := self._top(1)) is not None:  # a part of it, which may be changed
                stack[-1] = _part(top, key)
        elif op in ("UNPACK_SEQUENCE", "UNPACK_EX"):
            top = self._top(1)
            item = None if top is None else (top[0], (*top[1], ITEM))
            stack[-1:] = [item] * (effect + 1)
        elif op in _DISPLAYS and any(map(self._top, range(1, -effect + 2))):
            chains = [self._top(at) for at in range(1, -effect + 2)]
            stack[len(stack) + effect - 1 :] = [(f"{SEVERAL}{len(self._several)}", ())]
            self._several.append([each for each in chains if each is not None])
        elif op == "FOR_ITER":
            top = self._top(1)
            stack.append(None if top is None else (top[0], (*top[1], ITEM)))
        elif effect > 0:
            stack += [None] * (effect - 1) + [self._loaded(op, value)]
        else:
            del stack[len(stack) + effect :]
            if stack and not op.startswith(_ONLY_TAKE) and op != "GET_ITER":
                stack[-1] = self._made

    def _note_early(self) -> None:
        name, (sets, changes) = self._import, self._begin
        before = self._found.sets[sets:] + self._found.changes[changes:]
        if before and name not in self._seen:
            self._found.early.append((name, before))
        self._seen.add(name)

    def _note(self, where: list[Chain], chain: Chain) -> None:
        """Note a chain; what is done to an item changes what holds it."""
        base, path = chain
        if base.startswith(SEVERAL):
            for inner, rest in self._several[int(base.removeprefix(SEVERAL))]:
                self._note(where, (inner, (*rest, *(path[1:] if path[:1] == (ITEM,) else path))))
        elif _SPACE in path:
            self._found.wholes.append((base, path[: path.index(_SPACE)]))
        elif ITEM in path:
            self._found.changes.append((base, path[: path.index(ITEM) + 1]))
        else:
            where.append(chain)

    def _item(self, position: int) -> Any:
        return self._stack[-position] if len(self._stack) >= position else None

    def _top(self, position: int) -> Chain | None:
        found = self._item(position)
        return found if isinstance(found, tuple) else None

    def _loaded(self, op: str, value: Any) -> Any:
        """Return what stands for a value on the stack: a chain, a constant, or nothing."""
        if op in _CONSTANT:
            return list(value) if isinstance(value, tuple) else value  # a tuple is a chain
        if op in _LOAD:
            return self._locals.get(value) or (value, ())
        if op.startswith("LOAD_") and isinstance(value, str):
            if value in self._imported:
                return f"{IMPORTED}{self._imported[value]}", ()
            return self._locals.get(value)
        return None

    def _attribute(self, name: str) -> Chain | None:
        top = self._top(1)
        if top is None:
            return ("", (name,)) if name in CHANGERS else None  # a method of anything
        if name == _SPACE and not top[0].startswith((PARAMETER, VARIABLE)):
            self._note(self._found.wholes, top)
        elif name in CHANGING:
            self._note(self._found.changes, top)
        return top[0], (*top[1], name)

    def _call(self, count: int) -> None:
        """Look at the arguments of a call of `setattr` or `vars`, or of `mock.patch`."""
        callees = self._top(count + 1), self._top(count + 2)
        of = self._top(count) if count else None
        called = {chain[1][-1] if chain[1] else chain[0] for chain in callees if chain is not None}
        of_object = {chain[1][-1] for chain in callees if chain is not None and chain[1]}
        text = self._item(count) if count else None
        if "patch" in called and isinstance(text, str):
            module, *path = text.split(".")
            self._found.sets.append((f"{IMPORTED}{module}", tuple(path)))
        if "multiple" in called and (of is not None or isinstance(text, str)):
            base, inner = of or (f"{IMPORTED}{text}", ())
            self._found.sets.extend((base, (*inner, name)) for name in self._keywords)
        if count == 0 or not called.isdisjoint(_RESULTS):
            self._made = self._result(callees, count)
        if of is not None and self._set_by_call(callees, of_object, of, count):
            return
        if self._made is None and self._notes_passes:
            callee = next((each for each in callees if each is not None), None)
            self._made = callee and (callee[0], (*callee[1], RESULT))
        self._pass(callees, count)
        if of is not None and (
            "dict" in of_object  # of `mock.patch.dict`
            or not called.isdisjoint(CHANGERS)
            or any(each and each[0] in _KINDS and CHANGING.issuperset(each[1]) for each in callees)
        ):
            self._note(self._found.changes, of)

    def _set_by_call(self, callees: Any, of_object: set[str], of: Chain, count: int) -> bool:
        """Note what `setattr` and its kin do to something; it is false if nothing of the kind."""
        deletes = ("delattr", ()) in callees or "__delattr__" in of_object
        is_method = not of_object.isdisjoint(("object", "setattr", "__setattr__", "__delattr__"))
        is_function = ("setattr", ()) in callees and count == 3
        if is_method or is_function or (deletes and count == 2):
            name = self._item(count - 1) if count > 1 else None
            if isinstance(name, str):
                where = self._found.deletes if deletes else self._found.sets
                self._note(where, (of[0], (*of[1], name)))
            elif count > 1:
                self._note(self._found.wholes, of)
            return True
        if ("vars", ()) in callees and count == 1:
            if not of[0].startswith((PARAMETER, VARIABLE)):
                self._note(self._found.wholes, of)
            return True
        if ("next", ()) in callees:
            self._note(self._found.changes, of)
        return False

    def _pass(self, callees: Any, count: int) -> None:
        """Note which chains something is called with."""
        callee = next((each for each in callees if each is not None), None)
        for at in range(1, count + 1):  # as `exec(text, globals())`
            if (space := self._top(at)) is not None and space[1][-1:] == (_SPACE,):
                self._note(self._found.changes, space)
        if callee is None or not self._notes_passes:
            return
        first = count - len(self._keywords)
        for at in range(count):
            given = self._top(count - at)
            if given is None or given == callee:
                continue
            where = self._keywords[at - first] if at >= first else at
            base, path = given
            for inner, rest in self._chains(base):
                self._found.passes.append((callee, where, (inner, (*rest, *path))))

    def _chains(self, base: str) -> list[Chain]:
        """Return for what the first name of a chain stands."""
        if base.startswith(SEVERAL):
            return self._several[int(base.removeprefix(SEVERAL))]
        return [(base, ())]

    def _result(self, callees: Any, count: int) -> Chain | None:
        """Return what a call returns, if that can be said."""
        of: Any = self._item(count) if count else None
        is_chain = isinstance(of, tuple)
        for base, path in (each for each in callees if each is not None):
            name = path[-1] if path else base
            if name == "globals" and not path and not count:
                return THIS, (_SPACE,)
            if name in ("values", "items") and path and not count:
                return base, path[:-1]
            if name in ("import_module", "__import__") and isinstance(of, str):
                return f"{IMPORTED}{of}", ()
            last = self._item(count - 1) if count > 1 else None
            if is_chain and not path and (more := _more(name, count, last)) is not None:
                return of[0], (*of[1], *more)
        return None

    def _begin_import(self, op: str, name: str) -> None:
        """Note what gets its name next."""
        if op == "IMPORT_NAME":
            level = self._item(2)
            self._module = self._import = "." * (level if isinstance(level, int) else 0) + name
            self._is_from, self._is_named = self._item(1) is not None, False
            self._note_early()
            return
        self._is_named = True
        self._import = self._module
        if self._is_from:  # else `import m.n as o`, which takes parts of the whole
            self._import += name if self._module.endswith(".") else f".{name}"
            self._note_early()

    def _note_import(self, op: str, name: str) -> None:
        if op in ("STORE_FAST", "STORE_DEREF"):
            is_plain = not self._is_named and name == self._import.partition(".")[0]
            self._imported[name] = name if is_plain else self._import
        self._import = ""


#: Functions whose result stands for something.
_RESULTS: Final = frozenset(
    ("type", "vars", "import_module", "__import__", "getattr", *_SAME_ITEMS)
)


def _more(name: str, count: int, last: Any) -> tuple[str, ...] | None:
    """Return what a builtin function with a name returns of its first argument; None: no part."""
    if name in ("type", "vars"):
        return ("__class__" if name == "type" else _SPACE,) if count == 1 else None
    if name in _SAME_ITEMS:
        return (ITEM,) if name == "next" else ()
    return (last,) if name == "getattr" and isinstance(last, str) else None


def _part(chain: Chain, key: Any) -> Chain:
    """Return what an item of something stands for: a module, or an item."""
    base, path = chain
    is_modules = base in ("sys", f"{IMPORTED}sys") and path == ("modules",)
    if is_modules and isinstance(key, str):
        return f"{IMPORTED}{key}", ()
    if is_modules and key == ("__name__", ()):
        return THIS, ()
    return base, (*path, ITEM)
