"""The worker's half of the conversation."""
