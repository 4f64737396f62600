"""Libraries that draw samples: numbers as without workers, also when one of them dies."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

np = pytest.importorskip("numpy")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masterworker import Executor

# What libraries warn of each other is not of this project.
pytestmark = pytest.mark.filterwarnings("ignore")


class MapOf:
    """What samplers call a pool: something with `map` and `size`."""

    def __init__(self, executor: Executor) -> None:
        self.map = executor.map
        self.size = executor.size


def log_likelihood(x: Any) -> float:
    return float(-0.5 * np.sum(np.asarray(x) ** 2))


def from_cube(u: Any) -> Any:
    return 8 * np.asarray(u) - 4


def test_emcee(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    emcee = pytest.importorskip("emcee")

    def chain(function: Any, pool: Any) -> Any:
        sampler = emcee.EnsembleSampler(10, 2, function, pool=pool)
        state = np.random.RandomState(1)
        sampler.random_state = state.get_state()
        sampler.run_mcmc(state.randn(10, 2), 15)
        return sampler.get_chain()

    alone, ours = chain(log_likelihood, None), chain(exposed(log_likelihood), executor)
    assert (alone == ours).all()


def test_zeus(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    zeus = pytest.importorskip("zeus")

    def chain(function: Any, pool: Any) -> Any:
        random.seed(2)  # it draws from both
        np.random.seed(2)
        start = np.random.randn(8, 2)
        sampler = zeus.EnsembleSampler(8, 2, function, pool=pool, verbose=False)
        sampler.run_mcmc(start, 10, progress=False)
        return sampler.get_chain()

    alone, ours = chain(log_likelihood, None), chain(exposed(log_likelihood), MapOf(executor))
    assert (alone == ours).all()


def test_dynesty(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    dynesty = pytest.importorskip("dynesty")

    def samples(function: Any, pool: Any) -> Any:
        sampler = dynesty.NestedSampler(
            function,
            from_cube,
            2,
            nlive=40,
            rstate=np.random.default_rng(3),
            pool=pool,
            queue_size=4,
        )
        sampler.run_nested(dlogz=5.0, print_progress=False)
        return sampler.results.samples

    class Serial:
        map = staticmethod(map)
        size = 4

    alone, ours = samples(log_likelihood, Serial()), samples(exposed(log_likelihood), executor)
    assert (alone == ours).all()


def test_nautilus(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    nautilus = pytest.importorskip("nautilus")

    def evidence(function: Any, pool: Any) -> Any:
        sampler = nautilus.Sampler(
            from_cube, function, 2, n_live=60, n_networks=0, seed=4, pool=pool, n_batch=20
        )
        sampler.run(n_eff=60, verbose=False)
        return sampler.log_z, sampler.n_like

    alone = evidence(log_likelihood, None)
    assert alone == evidence(exposed(log_likelihood), (MapOf(executor), None))


def model(parameters: Any) -> dict[str, float]:
    return {"y": parameters["x"] ** 2}


def test_pyabc(executor: Executor, exposed: Callable[[Any], Any], tmp_path: Path) -> None:
    """It draws random numbers in the workers, so the numbers are not those of one process."""
    pyabc = pytest.importorskip("pyabc")
    prior = pyabc.Distribution(x=pyabc.RV("uniform", -2, 4))
    sampler = pyabc.sampler.ConcurrentFutureSampler(executor, client_max_jobs=8)
    search = pyabc.ABCSMC(
        exposed(model), prior, pyabc.PNormDistance(p=2), population_size=20, sampler=sampler
    )
    search.new(f"sqlite:///{tmp_path}/runs.db", {"y": 1.0})
    history = search.run(max_nr_populations=2)
    found, weights = history.get_distribution()
    assert len(found) == 20
    assert weights.sum() == pytest.approx(1)
