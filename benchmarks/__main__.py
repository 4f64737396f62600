"""`make bench`: all measurements of this folder, one after the other."""

from benchmarks import queue_depth, tiny_tasks

for module in (tiny_tasks, queue_depth):
    print((module.__doc__ or "").splitlines()[0])
    module.main()
    print()
