"""Named tuples, and classes of keywords, as of `typing`: a start makes dozens, so at half the cost.

Those of `typing` compile each annotation that is a text, and check it. Nothing here asks for that
at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414  for others
    from typing import TypedDict as TypedDict  # noqa: PLC0414
else:
    from collections import namedtuple

    #: What a class has in any case, or has from `namedtuple`.
    _OWN: Final = frozenset({"__module__", "__qualname__", "__annotations__"})

    class _Maker(type):
        """Makes a named tuple of the body of a class."""

        def __new__(cls, name: str, _: tuple[type, ...], body: dict[str, Any]) -> type:
            """Make it: fields are what is annotated, and they may have defaults."""
            fields = body.get("__annotations__", {})
            defaults = [body[field] for field in fields if field in body]
            made = namedtuple(  # noqa: PYI024  that is what this is for
                name, fields, defaults=defaults, module=body["__module__"]
            )
            made.__annotations__, made.__qualname__ = fields, body["__qualname__"]
            for key, value in body.items():
                if key not in _OWN and key not in fields:
                    setattr(made, key, value)
            return made

    class TypedDict:
        """Says which keywords a function takes, and of which types; there are no objects of it."""

        def __init_subclass__(cls, *, total: bool = True) -> None:
            super().__init_subclass__()

    #: As a base it makes a class of fields.
    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
