"""What says of itself that it is of another class, or raises when it is asked, hurts no call."""

from __future__ import annotations

import logging
import pathlib
import sys
import types
import weakref
from typing import Any
from unittest import mock

import pytest

from masterworker.data import mainmodule
from masterworker.data.builtin import is_usual
from masterworker.data.environment import Plan
from masterworker.data.fixed import is_fixed
from masterworker.data.methods import by_name, is_bound


class Unready:
    """A proxy whose object is made when it is needed, which fails."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"there is no object yet that has {name}")


def dead() -> object:
    """Return a proxy of an object that is gone."""
    return weakref.proxy(type("Gone", (), {})())


@pytest.mark.parametrize("make", [dead, Unready])
def test_a_global_that_a_function_does_not_use_may_raise(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each plan looks through all globals for what they share; a proxy among them is not asked."""
    main: dict[str, Any] = {"__name__": mainmodule.MAIN, "PROXY": make(), "SHARED": []}
    monkeypatch.setattr(mainmodule._main, "elsewhere", main)
    exec("class C:\n    shared = SHARED\ndef f():\n    return C\n", main)  # noqa: S102
    plan = Plan(["f"])
    assert plan.is_true()
    assert "PROXY" not in dict(plan.bindings)


@pytest.mark.parametrize("make", [dead, Unready])
def test_a_proxy_is_not_asked_what_it_is(make: Any) -> None:
    """Asking it would raise, or make its object."""
    proxy = make()
    assert not is_fixed(proxy)
    assert not is_bound(proxy)
    assert by_name(proxy) is proxy
    assert not is_usual(proxy)


class LazyModule(types.ModuleType):
    """One that is loaded when an attribute is asked for, which fails."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"this cannot be loaded, not even for {name}")


def test_a_module_that_cannot_be_loaded_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is found without its help."""
    module = LazyModule("lazy")
    assert not is_fixed(module)
    monkeypatch.setitem(sys.modules, "lazy", module)
    assert is_fixed(module)


@pytest.mark.parametrize("spec", [pathlib.PurePath, logging.Logger])
def test_what_says_that_it_is_of_a_class_that_cannot_change_can(spec: type) -> None:
    """A mock with a specification is an instance of its class, and is changed all the same."""
    imitation = mock.MagicMock(spec=spec)
    assert isinstance(imitation, spec)
    assert not is_fixed(imitation)
