"""What a worker has in common with the program that it works for, beside the code.

The master captures it (`common.capture`), and stores it with the slave program. A supervisor starts
the interpreter accordingly (`python`), and the worker takes over the rest (`common.enter`).
`docs/worker-environment.md` says what holds where.
"""
