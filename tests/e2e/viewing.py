"""A page that is served, and viewers of it."""

from __future__ import annotations

import gzip
import http.client
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e.desk import until

if TYPE_CHECKING:
    from e2e.desk import Desk, Running

#: A job that waits for a file before it ends; its tasks are at once done.
JOB = """
import masterworker
from gate import say, wait_for

if __name__ == "__main__":
    with masterworker.Master(LABEL, workers=1) as master:
        futures = [master.submit(divmod, 7, n % 4) for n in range(40)]
        assert sum(each.exception(60) is None for each in futures) == 30
        say("asked")
        wait_for("end")
"""


class Page:
    """A page of a job, and what is asked of it.

    Args:
        served: `task_manager web` with a file in the place of a terminal.
    """

    def __init__(self, served: Running) -> None:
        self.served = served
        served.says("from another machine")
        self._found(Path(re.findall("the address in (.+)", served.out)[0]))

    @classmethod
    def at(cls, file: Path) -> Page:
        """A page of which only the file is known that has its address."""
        page = cls.__new__(cls)
        page._found(file)
        return page

    def _found(self, file: Path) -> None:
        self.file = file
        self.address = self.file.read_text().strip()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#(\S{43})", self.address)
        assert found is not None
        self.port, self.token = int(found[1]), found[2]

    def get(
        self, target: str = "/snapshot?from=0", *, method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask, with the token if nothing else is said. Returns status, headers and what came."""
        named = {"X-Masterworker-Token": self.token}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, target, skip_host="Host" in headers)
            for name, value in named.items():
                connection.putheader(name, value)
            connection.endheaders()
            reply = connection.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            return reply.status, found, reply.read()
        finally:
            connection.close()

    def seen(self, base: int = 0) -> dict[str, Any]:
        """How the job stands."""
        status, _, body = self.get(f"/snapshot?from={base}")
        assert status == 200, body
        found: dict[str, Any] = json.loads(gzip.decompress(body))
        return found

    def shows(self, **wanted: Any) -> dict[str, Any]:
        """Wait until the job stands so; fields of the state and of the snapshot."""

        def holds() -> dict[str, Any] | None:
            found = self.seen()
            known = found["changes"] | found["state"]
            return found if wanted.items() <= known.items() else None

        return dict(until(holds, f"the page shows {wanted}"))


def page_of(desk: Desk, *options: str, **env: str) -> Page:
    """Serve a page of the desk's job."""
    return Page(desk.command("-w", "web", desk.label, *options, **env))
