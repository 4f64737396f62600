"""Texts in cells of a table that a spreadsheet may open."""

from __future__ import annotations

import re
from typing import Final

#: What a spreadsheet may take for the begin of a formula, where a cell begins: also behind what
#: another one takes for the end of a cell. OWASP, "CSV Injection",
#: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = re.compile(r"(^|[;\t\r\n])(?=[\s\"']*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\0])")


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: an apostrophe goes before one."""
    return text if text.isalnum() else _FORMULA.sub(r"\1'", text)
