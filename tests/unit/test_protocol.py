"""What processes say to each other has a number, which changes when its shape does."""

from __future__ import annotations

import typing
from hashlib import sha256
from types import NoneType, UnionType
from typing import Any

import pytest

from masterworker import wire
from masterworker.wire.operations import OPERATIONS

#: PROTOCOL, and a digest of the shapes that it stands for.
KNOWN = (9, "0ab7be473e419f7e")


def described(shape: Any) -> str:
    """Say what travels for it, with all that is in it."""
    if typing.get_origin(shape) is typing.Annotated:
        return described(typing.get_args(shape)[0])
    inner = typing.get_args(shape)
    if isinstance(shape, UnionType) or typing.get_origin(shape) is typing.Union:
        return "|".join(sorted(map(described, inner)))
    if inner:
        return f"{typing.get_origin(shape).__name__}[{', '.join(map(described, inner))}]"
    if shape is NoneType or shape is None:
        return "None"
    if hasattr(shape, "__struct_fields__") or hasattr(shape, "_fields"):
        names = getattr(shape, "__struct_fields__", None) or shape._fields
        hints = typing.get_type_hints(shape)
        return f"{shape.__name__}({', '.join(f'{n}: {described(hints[n])}' for n in names)})"
    return getattr(shape, "__name__", repr(shape))


def digest_of(shapes: object) -> str:
    """Return what changes with them."""
    return sha256(repr(shapes).encode()).hexdigest()[:16]


def test_a_change_of_what_travels_changes_the_protocol() -> None:
    """Since two processes with different shapes would not understand each other."""
    shapes = [
        (name, described(each.request), described(each.reply))
        for name, each in sorted(OPERATIONS.items())
    ]
    assert (wire.PROTOCOL, digest_of(shapes)) == KNOWN, (
        "what travels has changed: count wire.PROTOCOL up once for each release, "
        f"and write the new pair here: {shapes}"
    )


@pytest.mark.parametrize("part", ["Exchange(", "Options(", "Census(", "Outcome(", "Lease("])
def test_records_are_looked_into(part: str) -> None:
    """A digest that did not see them would change for nothing."""
    text = " ".join(described(s) for each in OPERATIONS.values() for s in each)
    assert part in text
    assert text.index("(", text.index(part)) < text.index(":", text.index(part))
