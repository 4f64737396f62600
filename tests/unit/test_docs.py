"""The documentation names what there is: files, links, commands, options, and names of the code."""

from __future__ import annotations

import importlib
import re
import shlex
from typing import TYPE_CHECKING

import pytest

import masterworker
from masterworker.cli import main
from tools.house.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What is read here; the map is drawn from the code.
PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
PAGES += [page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "map.md"]
#: Folders with code and programs.
FOLDERS = [ROOT / name for name in ("src", "tests", "tools", "benchmarks", "Examples")]
#: Words of other programs, and of the examples of these pages.
OTHERS = {
    *("activate", "pyro5", "toolbox"),
    *("RUNNING", "MaybeEncodingError", "_async"),  # names of the standard library
    *("renames", "revs"),
    "TerminatedWorkerError",  # of loky
    *("set_printoptions", "setdefaulttimeout"),  # of NumPy and the standard library
}
#: Modules of other packages that are executed in the documentation.
PROGRAMS = {"venv", "pytest", "pdb", "trace", "cProfile", "bench", "package"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path) -> list[str]:
    """What stands in blocks of code."""
    return re.findall(r"^ *```\w*\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)


def quoted(page: Path) -> list[str]:
    """What stands in backticks, outside of blocks."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`]+)`", text)


@pytest.fixture(scope="module")
def known() -> set[str]:
    """All words of the code, and the names of all files."""
    words: set[str] = set(OTHERS)
    for name in ("Makefile", "pyproject.toml"):
        words.update(re.findall(r"\w+", (ROOT / name).read_text()))
    for folder in FOLDERS:
        for path in folder.rglob("*.py"):
            words.update(re.findall(r"\w+", path.read_text()))
            words.update((path.stem, path.parent.name))
    words.update(path.stem.strip(".") for path in ROOT.iterdir())
    return words


@every_page
def test_every_name_is_one_of_the_code(page: Path, known: set[str]) -> None:
    """Whatever stands in backticks."""
    named = {word for text in quoted(page) for word in re.findall(r"[A-Za-z_]\w+", text)}
    assert named - known == set()


@every_page
def test_every_public_name_is_there(page: Path) -> None:
    """An attribute of a class that users know."""
    text = page.read_text()
    for name in masterworker.__all__:
        of = getattr(masterworker, name)
        fields = set(getattr(of, "__annotations__", ()))
        attributes = set(re.findall(rf"`{name}\.(\w+)", text))
        assert {each for each in attributes if not hasattr(of, each)} <= fields


@every_page
def test_every_link_leads_to_a_file(page: Path) -> None:
    """And to a heading of it."""
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading in {anchor(title) for title in titles}, link


def anchor(title: str) -> str:
    """What a heading is called in links."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of `task_manager`, wherever it is typed."""
    typed = [line for block in blocks(page) for line in block.splitlines()] + quoted(page)
    for line in typed:
        for part in re.split(r" \| |, then: | && ", line):
            _, found, rest = part.partition("task_manager ")
            if found and not part.lstrip().startswith("#"):
                yield shlex.split(rest, comments=True)


@every_page
def test_every_command_line_is_understood(page: Path) -> None:
    """With its options; nothing is carried out."""
    for words in commands(page):
        given = [word.strip("[]") for word in words]
        parser = main._parser(given)
        if given[0] in main.COMMANDS and given[1:] in ([], ["--clear"]):
            continue  # a text names a command, or an option of it
        try:
            options = parser.parse_intermixed_args(given)
            main._about(parser, options) or main._command(parser, options)
        except SystemExit as end:
            if end.code:
                pytest.fail(f"task_manager {' '.join(words)}")


@every_page
def test_every_target_of_make_is_there(page: Path) -> None:
    """As typed in a block, or between backticks."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = [*blocks(page), *quoted(page)]
    named = {
        name for text in typed for name in re.findall(r"^ *make ([a-z-]+)", text, re.MULTILINE)
    }
    assert named - targets == set()


@every_page
def test_every_program_is_there(page: Path) -> None:
    """`python -m` finds it."""
    for text in [*blocks(page), *quoted(page)]:
        for name in re.findall(r"python3? -m ([\w.]+)", text):
            top = name.split(".")[0]
            if top not in PROGRAMS:
                assert importlib.util.find_spec(name) is not None, name


@every_page
def test_every_file_of_the_repository_is_there(page: Path) -> None:
    """By its path from the root, or below the source."""
    places = (ROOT, ROOT / "src", ROOT / "src" / "masterworker")
    for text in quoted(page):
        for name in re.findall(r"(?<![\w/.~-])((?:[\w-]+/)+[\w-]+\.(?:py|md|toml))\b", text):
            assert any((place / name).exists() for place in places), name


def test_there_is_something_to_look_at() -> None:
    """A test that finds nothing says nothing."""
    assert sum(len(quoted(page)) for page in PAGES) > 800
    assert sum(1 for page in PAGES for _ in commands(page)) > 20
