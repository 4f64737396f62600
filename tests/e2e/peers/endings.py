"""Programs that are compared by how they end: their status, and the last line that they write.

Each one is a script of its own, which begins with an import of `Executor` and `Pool`.
"""

from __future__ import annotations

from typing import Final

#: Before each program, by what it is executed with.
BEGIN: Final = {
    "standard": (
        "from concurrent.futures import ProcessPoolExecutor as Executor\n"
        "from multiprocessing import Pool\n"
    ),
    "masterworker": "from masterworker import Executor, Pool\n",
}

PROGRAMS: Final = {
    "raise_in_with": """
with Executor(1) as e:
    f = e.submit(print, 'task')
    raise ValueError('x')
""",
    "raise_in_pool": """
with Pool(1) as p:
    print(p.apply(abs, (-1,)))
    raise ValueError('x')
""",
    "exit_in_with": """
import sys
with Executor(1) as e:
    e.submit(print, 'task')
    sys.exit(4)
""",
    "exit_text": """
import sys
with Pool(1) as p:
    print(p.apply(abs, (-1,)))
    sys.exit('text')
""",
    "unused": """
e = Executor(2)
""",
    "unused_pool": """
p = Pool(2)
""",
    "left_alone": """
e = Executor(1)
for i in range(3):
    e.submit(print, 'task', i)
print('main')
""",
    "failed_unseen": """
e = Executor(1)
e.submit(int, 'x')
print('main')
""",
    "daemon_thread": """
import threading, time
e = Executor(1)
print(e.submit(abs, -1).result())
def work():
    while True:
        try: e.submit(abs, -2).result()
        except RuntimeError: return
threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
print('end')
""",
    "atexit": """
import atexit
atexit.register(print, 'bye')
e = Executor(1)
print(e.submit(abs, -1).result())
""",
    "sigint": """
import os, signal, time
with Pool(1) as p:
    print(p.apply(abs, (-1,)), flush=True)
    r = p.map_async(time.sleep, [5])
    os.kill(os.getpid(), signal.SIGINT)
    r.get()
""",
    "del_executor": """
e = Executor(1)
f = e.submit(abs, -1)
del e
print(f.result())
""",
    "no_main_guard": """
print(Executor(1).submit(abs, -5).result())
""",
    "uncaught_task_error": """
with Executor(1) as e:
    e.submit(int, 'x').result()
""",
    "uncaught_pool_error": """
with Pool(1) as p:
    p.map(int, ['x'])
""",
    "stdout_of_tasks_and_main": """
with Executor(1) as e:
    print('a', flush=True)
    e.submit(print, 'b').result()
print('c')
""",
    "stdin": """
import sys
with Executor(1) as e:
    e.submit(abs, 1).result()
print(sys.stdin.read())
""",
    "hup": """
import os, signal
p = Pool(1)
print(p.apply(abs,(-1,)), flush=True)
os.kill(os.getpid(), signal.SIGHUP)
""",
    "recursion": """
import sys
def f(n): return f(n+1)
with Executor(1) as e:
    e.submit(f, 0).result()
""",
    "set_start_method": """
import multiprocessing
multiprocessing.set_start_method('spawn', force=True)
if __name__ == '__main__':
    with Pool(1) as p:
        print(p.map(abs, [-1]))
""",
}

#: With the standard library these hang, fail, or end with an error that is not the program's.
ONLY_OURS: Final = {
    "sigterm": (
        -15,
        "1\n",
        """
import os, signal, threading
e = Executor(1)
print(e.submit(abs, -1).result(), flush=True)
os.kill(os.getpid(), signal.SIGTERM)
""",
    ),
    "os_exit": (
        6,
        "1\n",
        """
import os
e = Executor(1)
print(e.submit(abs, -1).result(), flush=True)
os._exit(6)
""",
    ),
    "in_a_thread": (
        0,
        "2\n",
        """
import threading
def work():
    with Executor(1) as e:
        print(e.submit(abs, -2).result())
t = threading.Thread(target=work)
t.start()
""",
    ),
    "forked": (
        0,
        "1\n5\n2\n",
        """
import os, sys
e = Executor(1)
print(e.submit(abs, -1).result(), flush=True)
pid = os.fork()
if not pid:
    sys.exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(e.submit(abs, -2).result())
""",
    ),
}
