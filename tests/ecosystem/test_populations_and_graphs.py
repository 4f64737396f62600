"""Libraries of evolution, sensitivity, graphs, trajectories: numbers as without workers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from support import python_script, run_script

np = pytest.importorskip("numpy")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masterworker import Executor

# What libraries warn of each other is not of this project.
pytestmark = pytest.mark.filterwarnings("ignore")


def bowl(x: Any) -> float:
    return float(np.sum((np.asarray(x) - 0.3) ** 2))


def test_pymoo(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    pytest.importorskip("pymoo")
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.optimize import minimize

    class Problem(ElementwiseProblem):  # type: ignore[misc]
        def __init__(self, function: Any, **options: Any) -> None:
            super().__init__(n_var=2, n_obj=1, xl=-1, xu=1, **options)
            self.function = function

        def _evaluate(self, x: Any, out: Any, *_args: Any, **_kwargs: Any) -> None:
            out["F"] = self.function(x)

        def __getstate__(self) -> Any:
            return {key: value for key, value in vars(self).items() if key != "elementwise_runner"}

    class Runner:
        def __call__(self, function: Any, points: Any) -> Any:
            return list(executor.map(function, points))

    def found(problem: Any) -> Any:
        return minimize(problem, GA(pop_size=12), ("n_gen", 4), seed=1)

    alone = found(Problem(bowl))
    ours = found(Problem(exposed(bowl), elementwise_runner=Runner()))
    assert (alone.X == ours.X).all()
    assert alone.F == ours.F


DEAP = """
    import os
    import random
    import signal
    import sys
    from pathlib import Path

    from deap import algorithms, base, creator, tools
    from masterworker import Executor

    creator.create("Lowest", base.Fitness, weights=(-1.0,))
    creator.create("Individual", list, fitness=creator.Lowest)


    class Gene(float):
        def square(self):
            return self * self


    HOME = os.getpid()


    def cost(individual):
        marker = Path(sys.argv[1]) if len(sys.argv) > 1 else None
        if marker and os.getpid() != HOME and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return (sum(gene.square() for gene in individual),)


    def evolve(call_all):
        random.seed(1)
        box = base.Toolbox()
        box.register("gene", lambda: Gene(random.uniform(-1, 1)))
        box.register("individual", tools.initRepeat, creator.Individual, box.gene, 3)
        box.register("population", tools.initRepeat, list, box.individual)
        box.register("mate", tools.cxTwoPoint)
        box.register("mutate", tools.mutShuffleIndexes, indpb=0.2)
        box.register("select", tools.selTournament, tournsize=3)
        box.register("evaluate", cost)
        box.register("map", call_all)
        best = tools.HallOfFame(1)
        algorithms.eaSimple(box.population(10), box, 0.5, 0.2, 4, halloffame=best, verbose=False)
        return best[0], best[0].fitness.values


    with Executor(2) as executor:
        ours = evolve(executor.map)
    assert ours == evolve(map), ours
    print("the same")
"""


@pytest.mark.parametrize("dies", [False, True])
def test_deap(tmp_path: Path, dies: bool) -> None:
    """Its classes are made by the script, which has no guard."""
    pytest.importorskip("deap")
    script = python_script(tmp_path, "evolution.py", DEAP)
    marker = tmp_path / "killed"
    done = run_script(script, *([str(marker)] if dies else []), timeout=60)
    assert "the same" in done.out
    assert marker.exists() == dies


def test_salib(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    pytest.importorskip("SALib")
    from SALib.analyze import sobol as analysis
    from SALib.sample import sobol

    problem = {"num_vars": 3, "names": ["a", "b", "c"], "bounds": [[-1, 1]] * 3}
    points = sobol.sample(problem, 32, seed=2)

    def indices(values: Any) -> Any:
        return analysis.analyze(problem, np.array(list(values)), seed=2, print_to_console=False)

    alone, ours = indices(map(bowl, points)), indices(executor.map(exposed(bowl), points))
    assert (alone["S1"] == ours["S1"]).all()
    assert (alone["ST"] == ours["ST"]).all()


def peak(x: float) -> float:
    return x + 0.01 / (0.01 + x * x)


def test_adaptive(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    """Which points it asks for depends on which results came first; their values do not."""
    adaptive = pytest.importorskip("adaptive")
    learner = adaptive.Learner1D(exposed(peak), bounds=(-1, 1))
    adaptive.BlockingRunner(learner, npoints_goal=40, executor=executor, ntasks=4)
    assert learner.npoints >= 40
    assert all(y == peak(x) for x, y in learner.data.items())


def test_dask(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    dask = pytest.importorskip("dask")
    calls = [dask.delayed(exposed(bowl))([n, n + 1]) for n in range(20)]
    total = dask.delayed(sum)(calls)
    alone = sum(bowl([n, n + 1]) for n in range(20))
    assert total.compute(scheduler=executor) == alone


def center(atoms: Any) -> Any:
    return atoms.center_of_geometry()


@pytest.mark.timeout(300)
def test_mdanalysis(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    """Each worker analyses a part of the frames."""
    mda = pytest.importorskip("MDAnalysis", "2.8", reason="backends came with MDAnalysis 2.8")
    from MDAnalysis.analysis.backends import BackendBase
    from MDAnalysis.analysis.base import AnalysisFromFunction

    class Backend(BackendBase):  # type: ignore[misc]
        def apply(self, func: Any, computations: Any) -> Any:
            return list(executor.map(func, computations))

    class Analysis(AnalysisFromFunction):  # type: ignore[misc]
        @classmethod
        def get_supported_backends(cls) -> tuple[str, ...]:
            return ("serial",)

    universe = mda.Universe.empty(5, trajectory=True)
    universe.load_new(np.random.default_rng(5).normal(size=(24, 5, 3)))
    atoms = universe.atoms

    alone = Analysis(center, universe.trajectory, atoms).run().results.timeseries
    ours = Analysis(exposed(center), universe.trajectory, atoms).run(
        backend=Backend(n_workers=6), n_parts=6, unsupported_backend=True
    )
    assert (alone == ours.results.timeseries).all()


def test_asyncio(executor: Executor, exposed: Callable[[Any], Any]) -> None:
    function = exposed(bowl)

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, function, n) for n in range(40)]
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == [bowl(n) for n in range(40)]
