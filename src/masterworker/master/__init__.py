"""The master's side of a job: asking for tasks, and picking up what became of them."""

from masterworker.master.grace import GRACE
from masterworker.master.master import Master, engine_of

__all__ = ["GRACE", "Master", "engine_of"]
