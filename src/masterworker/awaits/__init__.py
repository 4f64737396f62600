"""Waiting in asyncio, and iterators that can."""
