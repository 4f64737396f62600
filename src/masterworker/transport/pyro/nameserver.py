"""Being a Pyro name server: Pyro's own, so that every Pyro 5 finds it and understands it.

It knows no authentication, and any client can change it, hold it and end it. Nothing of
ours depends on it: a master that is found through it still has to prove its identity (see `names`).
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from typing import TYPE_CHECKING, Final

from Pyro5 import config, nameserver, serializers

from masterworker.transport.hosts import LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes of the longest request, and of the longest answer.
LONGEST: Final = 1 << 20


def serve(host: str, port: int | None, ready: Callable[[str], None]) -> None:
    """Be a name server until Ctrl-C.

    It answers broadcasts, as Pyro's does, where it listens for other machines.

    Args:
        host: The address to listen at.
        port: The port; 0: any; None: Pyro's own (9090, or PYRO_NS_PORT).
        ready: Called with where it listens.

    Raises:
        OSError: It cannot listen there.
        ValueError: No host can have this name.
    """
    config.MAX_MESSAGE_SIZE = LONGEST
    # Some 50 bytes of marshal end the interpreter that reads them.
    serializers.serializers_by_id.pop(serializers.MarshalSerializer.serializer_id, None)
    _keep_quiet()
    uri, daemon, _ = nameserver.start_ns(host, port, enableBroadcast=False)
    with contextlib.ExitStack() as stack:
        stack.callback(daemon.close)
        if host not in LOCAL:
            with contextlib.suppress(OSError):  # another process answers them
                responder = nameserver.BroadcastServer(uri)
                stack.callback(responder.close)
                responder.runInThread()
        ready(daemon.locationStr)
        with contextlib.suppress(KeyboardInterrupt):
            daemon.requestLoop()


def _keep_quiet() -> None:
    """What strangers say to it is nothing for a terminal."""
    logging.getLogger("Pyro5").addHandler(logging.NullHandler())
    logging.getLogger("Pyro5").propagate = False
    warnings.simplefilter("ignore")
