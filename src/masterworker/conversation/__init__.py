"""The manager's whole conversation, as a pure machine: events and time in, effects out."""
