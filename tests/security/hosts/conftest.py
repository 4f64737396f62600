"""The fixtures of this folder."""

from security.hosts.fixtures import net, other_python, sshd, start_sshd

__all__ = ["net", "other_python", "sshd", "start_sshd"]
