"""The fixtures of this folder."""

from security.hosts.fixtures import net, other_python, sshd, start_sshd
from security.hosts.users import users

__all__ = ["net", "other_python", "sshd", "start_sshd", "users"]
