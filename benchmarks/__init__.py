"""Measurements of masterworker, beside what the standard library offers."""
