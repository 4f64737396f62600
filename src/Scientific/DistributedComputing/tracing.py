"""The `debug` switches of the classic modules: tracing to logging, shown on stderr."""

from __future__ import annotations

import logging

logger = logging.getLogger("Scientific.DistributedComputing")


def trace(switched_on: bool, text: str, *args: object) -> None:
    """Trace one line, if the switch of the calling module is on."""
    if switched_on:
        show(text, *args)


def show(text: str, *args: object) -> None:
    """Trace one line."""
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
    logger.debug(text, *args)
