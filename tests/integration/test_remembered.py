"""What functions with `functools.lru_cache` remember in a worker: until the master changes it.

As in the program itself, where `cache_clear()` follows such a change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import HANG, python_script, start_script

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
    import functools
    from masterworker import Master

    RATE, TABLE, OTHER = 2, {{"offset": 1}}, 1
    calls = []

    def helper(x):
        return x * RATE + TABLE["offset"]

    @functools.lru_cache
    def plain(x):
        calls.append(x)
        return helper(x)

    def doubled(function):
        @functools.wraps(function)
        def inner(x):
            return 2 * function(x)
        return inner

    @doubled
    @functools.cache
    def inside(x):
        return helper(x)

    class Model:
        @functools.lru_cache(maxsize=None)
        def method(self, x):
            return helper(x)

        @staticmethod
        @functools.cache
        def static(x):
            return x * RATE

    model = Model()
    in_table = {{"a": [functools.lru_cache(lambda x: helper(x))]}}
    partial = functools.partial(functools.cache(helper), 3)

    def work(x):
        return plain(x), inside(x), model.method(x), Model.static(x), in_table["a"][0](x), partial()

    def used(x):
        return plain(x), len(calls), OTHER

    def here(function, x):
        for each in (plain, inside.__wrapped__, Model.method, Model.static, in_table["a"][0],
                     partial.func):
            each.cache_clear()
        return function(x)

    with Master(workers=1) as master:
        def there(function, x):
            return master.submit(function, x).result({HANG})
    {body}
    print("good")
"""

BODIES = {
    "rebound": """
        assert there(work, 1) == here(work, 1)
        RATE = 5
        assert there(work, 1) == here(work, 1)
    """,
    "changed in place": """
        assert there(work, 1) == here(work, 1)
        TABLE["offset"] = 7
        assert there(work, 1) == here(work, 1)
    """,
    "another helper": """
        assert there(work, 1) == here(work, 1)
        def helper(x):
            return -x
        assert there(work, 1) == here(work, 1)
    """,
    "kept": """
        assert [there(used, 1) for _ in range(3)] == [(3, 1, 1)] * 3
        OTHER = 2
        assert there(used, 1) == (3, 1, 2), "what has changed has nothing to do with it"
        RATE = 3
        assert there(used, 1) == (4, 2, 2)
        assert there(used, 1) == (4, 2, 2)
    """,
    "through map": """
        for RATE in (2, 3, 4):
            assert list(master.map(plain, [1, 1, 2])) == [1 + RATE, 1 + RATE, 1 + 2 * RATE]
    """,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_is_remembered_is_true(tmp_path: Path, body: str) -> None:
    """A worker says what the program says once it has cleared its own caches."""
    running = start_script(
        python_script(tmp_path, "remembers.py", SCRIPT.format(HANG=HANG, body=body))
    )
    assert running.wait(HANG) == 0, running.told
    assert "good" in running.out
