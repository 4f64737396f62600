"""scikit-learn with joblib and our workers: numbers as without them, also when one dies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ecosystem.perilous import Perilous

np = pytest.importorskip("numpy")
sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")
joblib = pytest.importorskip("joblib")

from sklearn.base import BaseEstimator, ClassifierMixin, clone  # noqa: E402
from sklearn.datasets import make_classification, make_regression  # noqa: E402
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402

import masterworker.joblib  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _two_workers() -> Iterator[None]:
    with joblib.parallel_config(backend="masterworker", n_jobs=2, inner_max_num_threads=1):
        yield
    masterworker.joblib.shutdown()


class Dangerous(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # untyped
    """A classifier; one process that fits it is killed in the middle, if there is `kill`."""

    def __init__(self, kill: Any = None, c: float = 1.0) -> None:
        self.kill = kill
        self.c = c

    def __sklearn_clone__(self) -> Dangerous:
        return Dangerous(self.kill, self.c)

    def fit(self, x: Any, y: Any) -> Dangerous:
        if self.kill is not None:
            self.kill()
        self.inner_ = LogisticRegression(C=self.c).fit(x, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, x: Any) -> Any:
        return self.inner_.predict(x)


def nothing() -> None:
    """Is called where a process may be killed."""


@pytest.fixture(scope="module")
def data() -> Any:
    """Large enough to go out once for all (2.4 MB)."""
    return make_classification(6000, 50, random_state=1)


def test_cross_val_score(data: Any) -> None:
    model = LogisticRegression(max_iter=200)
    alone = cross_val_score(model, *data, cv=6, n_jobs=1)
    assert (cross_val_score(model, *data, cv=6) == alone).all()


def test_grid_search(data: Any) -> None:
    model = GridSearchCV(LogisticRegression(max_iter=200), {"C": [0.01, 0.1, 1.0]}, cv=3)
    alone = clone(model).set_params(n_jobs=1).fit(*data)
    ours = clone(model).fit(*data)
    assert ours.best_params_ == alone.best_params_
    assert (ours.cv_results_["mean_test_score"] == alone.cv_results_["mean_test_score"]).all()
    assert (ours.best_estimator_.coef_ == alone.best_estimator_.coef_).all()


def test_grid_search_with_a_worker_that_dies(data: Any, tmp_path: Path) -> None:
    grid = {"c": [0.01, 0.1, 1.0, 10.0]}
    alone = GridSearchCV(Dangerous(), grid, cv=3, n_jobs=1).fit(*data)
    marker = tmp_path / "killed"
    ours = GridSearchCV(Dangerous(Perilous(nothing, marker)), grid, cv=3).fit(*data)
    assert marker.exists()
    assert ours.best_params_ == alone.best_params_
    assert (ours.cv_results_["mean_test_score"] == alone.cv_results_["mean_test_score"]).all()


def test_random_forests(data: Any) -> None:
    """They fit in workers. Predictions of trees are added up in threads, in any order."""
    model = RandomForestClassifier(10, random_state=1)
    alone = clone(model).set_params(n_jobs=1).fit(*data)
    ours = clone(model).fit(*data)
    assert (ours.predict(data[0]) == alone.predict(data[0])).all()
    assert np.allclose(ours.predict_proba(data[0]), alone.predict_proba(data[0]), rtol=1e-12)
    x, y = make_regression(3000, 50, random_state=2)
    forest = RandomForestRegressor(5, random_state=1)
    expected = clone(forest).set_params(n_jobs=1).fit(x, y).predict(x)
    fitted = clone(forest).fit(x, y)
    assert np.allclose(fitted.predict(x), expected, rtol=1e-12)
    assert (fitted.set_params(n_jobs=1).predict(x) == expected).all()


def test_a_search_of_forests(data: Any) -> None:
    """Calls inside of calls."""
    model = GridSearchCV(
        RandomForestClassifier(8, random_state=1, n_jobs=2), {"max_depth": [2, 4]}, cv=2
    )
    alone = clone(model).set_params(n_jobs=1, estimator__n_jobs=1).fit(*data)
    ours = clone(model).fit(*data)
    assert (ours.cv_results_["mean_test_score"] == alone.cv_results_["mean_test_score"]).all()
