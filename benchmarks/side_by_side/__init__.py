"""Small programs, side by side: what each library makes of the same script.

`python -m benchmarks.side_by_side` executes each program of `programs/` with each library that is
installed, and prints what came out as a table. A program says in its docstring what it is about,
and in `RIGHT` what it is to print, which is what it would print without any library.
"""
