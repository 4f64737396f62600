"""The glossary: each invented word is one that the source uses."""

from __future__ import annotations

import re

from tools.house import source

GLOSSARY = source.ROOT / "docs" / "glossary.md"
#: A row of the second table: a word in backquotes, and what it means.
ROW = re.compile(r"^\| `([a-z ]+)` \| (\S.*?) \|", re.MULTILINE)


def rows() -> list[tuple[str, str]]:
    return ROW.findall(GLOSSARY.read_text())


def test_each_word_of_ours_is_in_the_source() -> None:
    """If this fails, the word has been renamed: take its line out, or write the new one."""
    text = "\n".join(module.text for module in source.read()).lower()
    words = set(re.findall(r"[a-z]+", text))
    unused = [word for word, _ in rows() if word not in words and f"{word}s" not in words]
    assert unused == []


def test_each_word_is_there_once_with_one_line() -> None:
    found = [word for word, _ in rows()]
    assert len(found) > 20
    assert sorted(set(found)) == sorted(found)
    assert all(len(meaning) < 160 for _, meaning in rows())
