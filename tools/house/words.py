"""Words that hide what is meant: a noun or a quantity has to stand in their place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tools.house.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tools.house.source import Module

#: A caller, a process, a user: which one? A number: of what?
RIDDLES: Final = re.compile(
    r"\b(somebody|nobody|anybody|everybody|whoever|whomever|so\s+many|him|himself|his)\b",
    re.IGNORECASE,
)
#: Reports of the past stand as they were written.
_OLD: Final = {"CHANGELOG.md"}


def texts(modules: Iterable[Module]) -> Iterator[tuple[str, str]]:
    """Yield what is looked at: the source and the documentation, by name."""
    for module in modules:
        yield module.name, module.text
    for path in sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))):
        if path.name not in _OLD:
            yield path.name, path.read_text()


def found_in(text: str) -> list[str]:
    """Return the words in a text that are riddles, as "line: word"."""
    return [
        f"{text.count(chr(10), 0, match.start()) + 1}: {match.group()!r}"
        for match in RIDDLES.finditer(text)
    ]


def riddles(named: Iterable[tuple[str, str]], reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield each such word without a reason in `rules.toml`."""
    for name, text in named:
        if name not in reasons:
            for where in found_in(text):
                yield f"{name}: {where}: say which one, or how many of what"
