"""What looks after the source: not installed, and used by `make check` and by tests."""
