"""Task ids: what users see, and the numbers inside."""

from __future__ import annotations

import pytest

from masterworker.errors import UsageError
from masterworker.taskid import shown_number, task_name, task_number


def test_the_first_task_is_number_zero() -> None:
    """As published; inside, 0 stands for no task."""
    assert task_name("sqrt", 1) == "sqrt_0"
    assert task_number("sqrt_0") == 1
    assert task_number("0") == 1


@pytest.mark.parametrize("tag", ["sqrt", "a_b", "a_7", "@call", "with space", "å_"])
@pytest.mark.parametrize("number", [1, 2, 10, 10**12])
def test_a_name_leads_back_to_its_number(tag: str, number: int) -> None:
    assert task_number(task_name(tag, number)) == number
    assert task_number(str(shown_number(number))) == number


@pytest.mark.parametrize("name", ["", "sqrt", "sqrt_", "sqrt_-1", "sqrt_1.5", "sqrt_x", None])
def test_what_is_no_id(name: str) -> None:
    with pytest.raises(UsageError, match="is not the id of a task"):
        task_number(name)
