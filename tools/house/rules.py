"""The rules, from `rules.toml`, and what breaks them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.house import counts, imports, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tools.house.source import Module

RULES = Path(__file__).with_name("rules.toml")


def load(path: Path = RULES) -> dict[str, Any]:
    """Read the rules."""
    return tomllib.loads(path.read_text())


def broken(modules: Sequence[Module], rules: Mapping[str, Any]) -> Iterator[str]:
    """Yield what breaks a rule, each as a sentence."""
    yield from _too_long(modules, rules["lines"], rules["reasons"]["files"])
    most = rules["lines"]["function"]
    what = f"more than {most} lines of code in its body"
    yield from _without_reason(what, _long_functions(modules, most), rules["reasons"]["functions"])
    high = (name for name, height in counts.heights(modules).items() if height > 1)
    yield from _without_reason("two classes of ours above it", high, rules["reasons"]["classes"])
    yield from words.riddles(words.texts(modules), rules["reasons"]["words"])
    yield from broken_imports(imports.graph(), imports.graph(typing=False), rules["imports"])


def broken_imports(
    all_imports: imports.Graph, at_run_time: imports.Graph, rules: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the imports that break a rule.

    Args:
        all_imports: With those that only the type checker sees.
        at_run_time: Without them.
        rules: The part of the rules about imports.
    """
    yield from imports.undeclared(all_imports, rules["dependencies"])
    yield from imports.impure(at_run_time, rules["pure"], rules["allowed_in_pure"])
    yield from imports.strays(at_run_time, rules["allowed"])
    for circle in imports.circles(all_imports):
        yield f"import one another: {', '.join(circle)}"


def idle(modules: Sequence[Module], rules: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the rules allow and nothing uses."""
    reasons = rules["reasons"]
    long = {module.name for module in modules if module.lines > rules["lines"]["file"]}
    functions = _long_functions(modules, rules["lines"]["function"])
    high = {name for name, height in counts.heights(modules).items() if height > 1}
    worded = {name for name, text in words.texts(modules) if words.found_in(text)}
    needs = {"files": long, "functions": functions, "classes": high, "words": worded}
    for kind, needed in needs.items():
        for name in reasons[kind].keys() - needed:
            yield f"rules.toml has a reason for {name}, which needs none"
    yield from imports.idle(imports.graph(typing=False), rules["imports"]["allowed"])


def _too_long(
    modules: Sequence[Module], bounds: Mapping[str, int], reasons: Mapping[str, str]
) -> Iterator[str]:
    folders = counts.sizes(modules)
    for folder, (_, _, code) in folders.items():
        bound = bounds.get(folder, bounds["folder"])
        if code > bound:
            yield f"{folder}: {code} lines of code, {bound} at most"
    total = sum(code for _, _, code in folders.values())
    if total > bounds["all"]:
        yield f"all: {total} lines of code, {bounds['all']} at most"
    long = (module.name for module in modules if module.lines > bounds["file"])
    yield from _without_reason(f"more than {bounds['file']} lines", long, reasons)


def _long_functions(modules: Sequence[Module], most: int) -> set[str]:
    return {name for name, lines in counts.function_lengths(modules).items() if lines > most}


def _without_reason(what: str, found: Iterable[str], reasons: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(found):
        if name not in reasons:
            yield f"{name}: {what}, and rules.toml names no reason"
