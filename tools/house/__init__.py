"""The rules of the house that can be counted: sizes, imports, towers. `python -m tools.house`."""
