"""Errors of ours as replies."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from masterworker import errors


def encode_error(error: errors.MasterworkerError) -> list[Any]:
    """Make an error of ours travel in a reply."""
    return [type(error).__name__, str(error)]


def decode_error(name: str, text: str) -> errors.MasterworkerError:
    """Get back what `encode_error` was given, or its nearest known relative."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.MasterworkerError):
        for each in kind.__mro__:  # those that are made of more than a text are not sent
            made = next(vars(base)["__init__"] for base in each.__mro__ if "__init__" in vars(base))
            if not isinstance(made, FunctionType):
                found: errors.MasterworkerError = each(text)
                return found
    return errors.MasterworkerError(f"{name}: {text}")
