"""Names of methods that change their objects, and of functions that change what they are given."""

from __future__ import annotations

from typing import Final

#: Methods of lists, sets, dictionaries, their kin and arrays that change them.
CHANGING: Final = frozenset(
    (
        *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"),
        *("reverse", "setdefault", "sort", "update", "difference_update", "intersection_update"),
        *("symmetric_difference_update", "move_to_end", "subtract", "appendleft", "extendleft"),
        *("popleft", "rotate", "fill", "byteswap", "frombytes", "resize", "put", "partition"),
        *("__setitem__", "__delitem__", "__iadd__", "__ior__"),
        # Of `ConfigParser`, and of generators of random numbers.
        *("read", "read_file", "read_string", "read_dict", "set", "add_section", "seed"),
        *("remove_section", "remove_option", "setstate", "random", "randint", "choice", "normal"),
        *("uniform", "integers", "standard_normal", "permutation", "sample", "gauss"),
    )
)
#: Functions that change what they are given first.
CHANGERS: Final = frozenset(
    (
        *("heappush", "heappop", "heapify", "heapreplace", "heappushpop", "shuffle"),
        *("insort", "insort_left", "insort_right", "setitem", "delitem", "copyto", "putmask"),
    )
)
