"""One small module for each kind of engine. What an adapter says is in `base`."""
