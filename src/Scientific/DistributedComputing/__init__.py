"""The classic interface of the master-slave system, on top of `masterworker`."""
