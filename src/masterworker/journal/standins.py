"""Classes that stand in for those of a main program which is not here: they show what they hold."""

from __future__ import annotations

from typing import Any, Self

from masterworker.data import mainmodule


class StandIn:
    """A value whose class is not here."""

    def __new__(cls, *arguments: Any, **_: Any) -> Self:
        """Take whatever the class itself would be made of."""
        made = object.__new__(cls)
        made.__dict__["_made_of"] = arguments
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)
            elif part is not None:
                self.__dict__["_state"] = part

    def __repr__(self) -> str:
        held = dict(self.__dict__)
        shown = [repr(each) for each in held.pop("_made_of", ())]
        shown += [f"{name}={value!r}" for name, value in held.items()]
        return f"{type(self).__name__}({', '.join(shown)})"


class _Names(dict[str, Any]):
    """A main program that has a class under each name."""

    def __missing__(self, name: str) -> Any:
        if name.startswith("__"):
            raise KeyError(name)
        made = self[name] = type(name, (StandIn,), {"__module__": "__main__"})
        return made


def put_in_place() -> None:
    """Let values of the main program's classes be rebuilt without it, in this process."""
    mainmodule.live_in_names(_Names())
