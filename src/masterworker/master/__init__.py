"""The master's side of a job: asking for tasks, and picking up what became of them."""

from masterworker.master.handle import Handle
from masterworker.master.master import GRACE, Master

__all__ = ["GRACE", "Handle", "Master"]
