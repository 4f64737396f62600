"""Enumerations of the main program, as they travel: with all that their members have.

A member is not made from its value once more, since what made it (an `__init__` or `__new__` of the
class) may have been given more than that. It gets what it has in the main program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import Enum

    #: Name, value, arguments of the built-in class that it is an object of, too.
    Member = tuple[str, Any, tuple[Any, ...]]

#: What the class itself gives to its members.
_OF_CLASS: Final = frozenset(("_value_", "_name_", "__objclass__", "_sort_order_"))
#: What is made anew with the class.
_MADE_ANEW: Final = frozenset(("_member_names_", "_member_map_", "_value2member_map_"))


def members_of(cls: type[Enum]) -> list[Member]:
    """Return the members of an enumeration, with its aliases."""
    own = _own_class(cls)
    arguments = getattr(own, "__getnewargs__", None)
    return [
        (name, each.value, () if arguments is None else arguments(each))
        for name, each in cls.__members__.items()
    ]


def state_of(cls: type[Enum], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return those attributes of an enumeration that are not made anew."""
    gone = _MADE_ANEW | cls.__members__.keys()
    return {name: value for name, value in attributes.items() if name not in gone}


def attributes_of(cls: type[Enum]) -> dict[str, dict[str, Any]]:
    """Return what members have besides their values, by name."""
    return {
        each.name: {name: value for name, value in vars(each).items() if name not in _OF_CLASS}
        for each in cls
    }


def make_enum(
    name: str,
    bases: tuple[type, ...],
    members: list[Member],
    about: tuple[str, str],
    track: Callable[[type], type],
) -> type:
    """Begin to rebuild an enumeration.

    Args:
        name: Of the class.
        bases: Its bases.
        members: What `members_of` has found.
        about: Its `__module__` and `__qualname__`.
        track: Returns the class of this process that is the same one, if there is any.
    """
    kind: Any = type(bases[-1])
    namespace = kind.__prepare__(name, bases)
    namespace["__module__"], namespace["__qualname__"] = about
    own: Any = None

    def new(cls: Any, token: Any) -> Any:
        nonlocal own
        while isinstance(token, tuple):  # of an enumeration of tuples
            (token,) = token
        own = own or _own_class(cls)
        _, value, args = members[token]
        made = own.__new__(cls, *args)
        made._value_ = value
        return made

    namespace["__new__"] = new
    namespace["__init__"] = lambda self, *args: None  # noqa: ARG005
    for number, (each, _, _) in enumerate(members):
        namespace[each] = (number,)
    made = kind.__new__(kind, name, bases, namespace)
    type.__delattr__(made, "__init__")
    return track(made)


def fill_enum(cls: Any, rest: tuple[Callable[[type, Any], object], Any, Mapping[str, Any]]) -> None:
    """Finish what `make_enum` has begun."""
    fill, state, attributes = rest
    fill(cls, state)
    for name, own in attributes.items():
        member = vars(cls[name])
        for each in member.keys() - own.keys() - _OF_CLASS:  # the program has deleted it
            del member[each]
        member.update(own)


def _own_class(cls: type) -> Any:
    """Return which class besides the enumeration members are objects of."""
    return getattr(cls, "_member_type_", object)
