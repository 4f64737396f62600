"""What pages are sent: the latest digest whole, or what has changed since the one they have."""

from __future__ import annotations

import gzip
import json
import threading
from base64 import b64encode
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from masterworker.views.web.digest import difference, digest

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Snapshot
    from masterworker.views.web.watcher import Watcher

#: Digests that are kept; a page that has an older one is sent all.
KEPT: Final = 8
#: Bytes that a page is sent in a second, on average; after the first picture, which has all that
#: was, a page waits for these seconds at most.
RATE: Final = 30_000
FIRST: Final = 3.0
#: Seconds until a page asks again: while the job goes on, and when there is nothing new.
PAUSE: Final = 1.0
QUIET: Final = 5.0
#: Replies that are kept: pages that look at the same time have the same.
REPLIES: Final = 16


class Feed:
    """Makes the replies to pages. Thread-safe; costs nothing as long as no page asks.

    Args:
        watcher: Knows how the job stands.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._lock = threading.Lock()
        self._digests: dict[int, dict[str, Any]] = {}
        self._made_of: tuple[Snapshot | None, bool] = (None, False)
        self._number = 0
        self._replies: dict[tuple[object, ...], bytes] = {}

    def reply(self, base: int) -> bytes:
        """Return a reply as JSON, compressed with gzip.

        It has `number`, by which the page says what it has; `base`, to which it adds (0: it is
        whole); `state`, how the job is seen; `pause`, in which the page does not ask; `changes`.

        Args:
            base: What the page has; 0: nothing.
        """
        seen = self._watcher.seen()
        with self._lock:
            if seen.snapshot is not self._made_of[0] or seen.is_over != self._made_of[1]:
                self._add(digest(self._watcher.label, seen.snapshot, is_over=seen.is_over))
                self._made_of = seen.snapshot, seen.is_over
            base = base if base in self._digests else 0
            key = (base, self._number, seen.state, seen.said)
            found = self._replies.get(key)
            if found is None:
                state = {"state": seen.state, "said": seen.said, "at": seen.at}
                found = self._made(base, state, is_quiet=seen.is_over)
                if len(self._replies) >= REPLIES:
                    self._replies.clear()
                self._replies[key] = found
            return found

    def _add(self, new: dict[str, Any]) -> None:
        """Keep a digest, and of older ones a few."""
        self._number += 1
        self._digests[self._number] = new
        self._digests.pop(self._number - KEPT, None)

    def _made(self, base: int, state: dict[str, Any], *, is_quiet: bool) -> bytes:
        latest = self._digests[self._number]
        changes = difference(self._digests[base], latest) if base else latest
        body = {"number": self._number, "base": base, "state": state, "changes": changes}
        pause = QUIET if is_quiet else PAUSE
        size = len(_packed({**body, "pause": pause}))
        wait = size / RATE if base else min(size / RATE, FIRST)
        return _packed({**body, "pause": round(max(pause, wait), 2)})


def _packed(body: dict[str, Any]) -> bytes:
    text = json.dumps(body, default=_text, separators=(",", ":"))
    if "NaN" in text or "Infinity" in text:  # which is no JSON; it may also be in a text
        text = json.dumps(_finite(body), default=_text, separators=(",", ":"))
    return gzip.compress(text.encode(), 5, mtime=0)


def _text(cells: bytes) -> str:
    """Return what is no JSON as base64."""
    return b64encode(cells).decode()


def _finite(value: Any) -> Any:
    """Return the same with nothing in the place of what is no finite number."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value
