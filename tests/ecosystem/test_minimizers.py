"""Libraries that look for a minimum: numbers as without workers, also when one of them dies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

np = pytest.importorskip("numpy")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from masterworker import Executor

# What libraries warn of each other is not of this project.
pytestmark = pytest.mark.filterwarnings("ignore")

BOUNDS = [(-3.0, 3.0)] * 2


def valley(x: Any) -> float:
    """Rosenbrock's function."""
    x = np.asarray(x)
    return float(((1 - x[:-1]) ** 2).sum() + 100 * ((x[1:] - x[:-1] ** 2) ** 2).sum())


def straight(x: float) -> Any:
    return np.array([np.exp(-x * x), x])


def residual(params: Any, x: Any, data: Any) -> Any:
    return params["height"] * np.exp(-x / params["width"]) - data


def test_scipy_differential_evolution(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    optimize = pytest.importorskip("scipy.optimize")

    def found(function: Any, workers: Any) -> Any:
        return optimize.differential_evolution(
            function, BOUNDS, seed=1, maxiter=8, polish=False, updating="deferred", workers=workers
        )

    alone, ours = found(valley, 1), found(exposed(valley), executor.map)
    assert (alone.x == ours.x).all()
    assert alone.nfev == ours.nfev


def test_scipy_brute(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    optimize = pytest.importorskip("scipy.optimize")

    def found(function: Any, workers: Any) -> Any:
        ranges = [slice(-2, 2, 0.25)] * 2
        return optimize.brute(function, ranges, finish=None, full_output=True, workers=workers)

    alone, ours = found(valley, 1), found(exposed(valley), executor.map)
    assert (alone[0] == ours[0]).all()
    assert (alone[3] == ours[3]).all()


def test_scipy_quad_vec(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    integrate = pytest.importorskip("scipy.integrate")
    alone = integrate.quad_vec(straight, -5, 5, workers=1)
    ours = integrate.quad_vec(exposed(straight), -5, 5, workers=executor.map)
    assert (alone[0] == ours[0]).all()
    assert alone[1] == ours[1]


def test_scipy_minimize(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    pytest.importorskip("scipy", "1.16", reason="workers= came with SciPy 1.16")

    def found(function: Any, workers: Any) -> Any:
        start = [-1.0, 1.5, 0.5]
        return optimize.minimize(function, start, method="BFGS", options={"workers": workers})

    alone, ours = found(valley, None), found(exposed(valley), executor.map)
    assert (alone.x == ours.x).all()
    assert alone.nfev == ours.nfev


def test_lmfit(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    lmfit = pytest.importorskip("lmfit")
    x = np.linspace(0, 4, 30)
    data = 3 * np.exp(-x / 1.5)

    def found(function: Any, workers: Any) -> Any:
        params = lmfit.create_params(
            height={"value": 1, "min": 0, "max": 5}, width={"value": 1, "min": 0.1, "max": 5}
        )
        fit = lmfit.Minimizer(function, params, fcn_args=(x, data))
        return fit.minimize("brute", Ns=8, workers=workers)

    alone, ours = found(residual, 1), found(exposed(residual), executor.map)
    assert alone.params.valuesdict() == ours.params.valuesdict()
    assert (alone.brute_Jout == ours.brute_Jout).all()


def test_cma(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    cma = pytest.importorskip("cma")

    def found(function: Any, call_all: Any) -> list[Any]:
        options = {"seed": 5, "verbose": -9, "maxiter": 6}
        search = cma.CMAEvolutionStrategy([0.5, 0.2, 0.1], 0.4, options)
        while not search.stop():
            points = search.ask()
            search.tell(points, list(call_all(function, points)))
        return [list(search.result.xbest), search.result.fbest]

    assert found(valley, map) == found(exposed(valley), executor.map)


def test_nevergrad(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    """Points are asked for one by one, so the order in which they are told is the workers'."""
    nevergrad = pytest.importorskip("nevergrad")
    space = nevergrad.p.Array(shape=(2,)).set_bounds(-3, 3)
    space.random_state.seed(3)
    search = nevergrad.optimizers.RandomSearch(parametrization=space, budget=40, num_workers=4)
    best = search.minimize(exposed(valley), executor=executor, batch_mode=True)
    space.random_state.seed(3)
    again = nevergrad.optimizers.RandomSearch(parametrization=space, budget=40, num_workers=4)
    assert (best.value == again.minimize(valley, batch_mode=True).value).all()


def test_bayesian_optimization(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    bayes_opt = pytest.importorskip("bayes_opt")

    def found(function: Any, call_all: Any) -> Any:
        bounds = {"x": (-3, 3), "y": (-3, 3)}
        search = bayes_opt.BayesianOptimization(None, bounds, random_state=4, verbose=0)
        # Until 2.0 it has to be said how points are judged.
        judged = [kind()] if (kind := getattr(bayes_opt, "UtilityFunction", None)) else []
        points = [dict(search.suggest(*judged)) for _ in range(10)]
        for point, value in zip(points, call_all(function, points), strict=True):
            search.register(point, -value)
        return search.max, search.suggest(*judged)

    alone, ours = found(of_point, map), found(exposed(of_point), executor.map)
    assert alone == ours


def of_point(point: dict[str, float]) -> float:
    return valley([point["x"], point["y"]])


def test_optuna_ask_and_tell(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def found(function: Any, call_all: Any) -> Any:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=6))
        distribution = optuna.distributions.FloatDistribution(-3, 3)
        space = {"x": distribution, "y": distribution}
        for _ in range(4):
            trials = [study.ask(space) for _ in range(5)]
            values = call_all(function, [trial.params for trial in trials])
            for trial, value in zip(trials, values, strict=True):
                study.tell(trial, value)
        return study.best_params, study.best_value

    assert found(of_point, map) == found(exposed(of_point), executor.map)


def shared_study(file: str) -> Any:
    """One study for many processes, in a file."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = optuna.storages.journal.JournalFileBackend(file)
    storage = optuna.storages.JournalStorage(backend)
    return optuna.create_study(study_name="shared", storage=storage, load_if_exists=True)


def objective(trial: Any) -> float:
    return of_point({name: trial.suggest_float(name, -3, 3) for name in ("x", "y")})


def one_trial(file: str, function: Any) -> None:
    shared_study(file).optimize(function, n_trials=1)


def test_optuna_shared_study(
    executor: Executor, exposed: Callable[[Any], Any], tmp_path: Path
) -> None:
    """Each worker has its own study object; what they find is in one file."""
    pytest.importorskip("optuna")
    file = str(tmp_path / "journal")
    study = shared_study(file)
    function = exposed(objective)
    futures = [executor.submit(one_trial, file, function) for _ in range(12)]
    assert [each.exception(60) for each in futures] == [None] * 12
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert len(done) == 12
    assert all(trial.value == of_point(trial.params) for trial in done)


def test_mystic(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    """Its solvers are given a map, and carry that along."""
    pytest.importorskip("mystic")
    from mystic.solvers import BuckshotSolver, NelderMeadSimplexSolver
    from mystic.termination import CandidateRelativeTolerance
    from mystic.tools import random_seed

    def found(function: Any, call_all: Callable[..., Iterable[Any]]) -> Any:
        random_seed(7)
        solver = BuckshotSolver(2, 4)
        solver.SetNestedSolver(NelderMeadSimplexSolver)
        solver.SetMapper(lambda *args, **kwargs: list(call_all(*args, **kwargs)))
        solver.SetStrictRanges([-3] * 2, [3] * 2)
        solver.SetEvaluationLimits(generations=60)
        solver.Solve(function, CandidateRelativeTolerance(), disp=False)
        return list(solver.bestSolution), solver.bestEnergy

    assert found(valley, map) == found(exposed(valley), executor.map)
