"""The command `task_manager`."""
