"""The task manager: the scheduler, made safe for many threads and many connections."""

from masterworker.manager.mailbox import Mailbox
from masterworker.manager.manager import Manager
from masterworker.manager.replies import Replies
from masterworker.manager.service import Service

__all__ = ["Mailbox", "Manager", "Replies", "Service"]
