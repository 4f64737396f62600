"""The task manager: the scheduler, made safe for many threads and many connections."""

from masterworker.manager.manager import Mailbox, Manager
from masterworker.manager.session import Replies, Session

__all__ = ["Mailbox", "Manager", "Replies", "Session"]
