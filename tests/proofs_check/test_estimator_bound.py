import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import Lasso, LogisticRegression

from proofs_check import FloatBudget, check_estimator_bound
from proofs_check.estimators import estimator_claim
from proofs_check.model import ClaimDefinitionError

# ------------------------------------------------------------------------------ a library's estimator, a bound that always holds
#
# Statement: the duality gap that Lasso reports bounds how far its objective P(w) = |y - X w|^2 / (2 n) + alpha |w|_1 is above its minimum.
# Proof: for every theta with |X' theta|_inf <= n alpha, D(theta) = (|y|^2 - |y - theta|^2) / (2 n) <= P(w') for all w' (weak duality), so
# P(w) - min P <= P(w) - D(theta), and that is the reported gap.  The minimum is replaced by the value at a nearly exact solution, which is
# at least the minimum: a violation that is found is one.

ROUNDING = FloatBudget(k=lambda inst, outcome: 4 * inst.rows, scale=1.0, why="two sums of n squares that total about one")


def _diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X / X.std(axis=0), (y - y.mean()) / y.std()


def _objective(w, X, y, alpha):
    return np.sum((y - X @ w) ** 2) / (2 * len(y)) + alpha * np.abs(w).sum()


def _above_minimum(fitted, X, y):
    exact = Lasso(alpha=fitted.alpha, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(X, y)
    return _objective(fitted.coef_, X, y, fitted.alpha) - _objective(exact.coef_, X, y, fitted.alpha)


def test_duality_gap_of_lasso_survives():
    X, y = _diabetes()
    lasso = Lasso(alpha=0.05, fit_intercept=False, tol=1e-2)
    verdict = check_estimator_bound(lasso, X, y, attribute="dual_gap_", measure=_above_minimum, budget=ROUNDING)
    assert verdict.status == "SURVIVED"
    assert 0.01 < verdict.slack.worst < 1
    assert {part.part.family for part in verdict.parts} == {"given", "resampled"}
    assert not hasattr(lasso, "coef_")  # the caller's object is left alone


def test_duality_gap_divided_by_fifty_is_refuted():
    X, y = _diabetes()
    verdict = check_estimator_bound(
        Lasso(alpha=0.05, fit_intercept=False, tol=1e-2),
        X,
        y,
        attribute=lambda e: e.dual_gap_ / 50,
        measure=_above_minimum,
        budget=ROUNDING,
    )
    assert verdict.status == "REFUTED"
    assert verdict.counterexamples


# -------------------------------------------------------------------------------------------- a bound that may fail with probability


class HoldOut(ClassifierMixin, BaseEstimator):
    """Fit on one half, count mistakes on the other: the true error exceeds the count's share by sqrt(ln(1/delta) / 2m) rarely.

    Proof: given the first half, mistakes on the m independent rows of the second are m independent coins of the true error; Hoeffding.
    """

    def __init__(self, delta=0.1, spoil=1.0, random_state=None):
        self.delta, self.spoil, self.random_state = delta, spoil, random_state

    def fit(self, X, y):
        order = np.random.RandomState(self.random_state).permutation(len(y))
        train, held = np.array_split(order, 2)
        self.model_ = LogisticRegression(max_iter=20, tol=1e-1).fit(X[train], y[train])
        self.seed_ = self.random_state
        mistakes = np.mean(self.model_.predict(X[held]) != y[held])
        self.bound_ = float(mistakes + self.spoil * np.sqrt(np.log(1 / self.delta) / (2 * len(held))))
        return self


def _population():
    X, y = load_breast_cancer(return_X_y=True)
    return X[:, :2] / X[:, :2].std(axis=0), y


def _error(fitted, X, y):
    return np.mean(fitted.model_.predict(X) != y)


def test_hold_out_bound_is_verified_on_a_known_population():
    X, y = _population()
    verdict = check_estimator_bound(HoldOut(), X, y, measure=_error, delta=0.1, rows=60, trials=128)
    assert verdict.status == "VERIFIED"


def test_hold_out_bound_without_its_radius_is_refuted():
    X, y = _population()
    verdict = check_estimator_bound(HoldOut(spoil=0.0), X, y, measure=_error, delta=0.1, rows=60, trials=128)
    assert verdict.status == "REFUTED"


def test_random_state_is_set_by_the_trial():
    seeds = set()

    def measure(fitted, X, y):
        seeds.add(fitted.seed_)
        return 0.0

    X, y = _population()
    check_estimator_bound(HoldOut(random_state=7), X, y, measure=measure, delta=0.5, rows=40, trials=64)
    assert len(seeds) >= 64


# ------------------------------------------------------------------------------------------------------------------- what is odd


class Mean:
    """No scikit-learn: a mean with bounds on it."""

    def __init__(self, bound=None):
        self.bound = bound

    def fit(self, X):
        self.mean_ = float(np.mean(X))
        self.bound_ = float(np.max(X)) if self.bound is None else self.bound
        self.lower_ = float(np.min(X))
        return self


COLUMN = np.arange(1.0, 20.0)[:, None]


def test_plain_object_and_lower_bound():
    def mean(fitted, X, y):
        return fitted.mean_

    assert check_estimator_bound(Mean(), COLUMN, measure=mean).status == "SURVIVED"
    assert check_estimator_bound(Mean(), COLUMN, measure=mean, attribute="lower_", sense=">=").status == "SURVIVED"
    assert check_estimator_bound(Mean(), COLUMN, measure=mean, attribute="lower_").status == "REFUTED"


def test_bound_that_promises_nothing_is_inconclusive():
    verdict = check_estimator_bound(Mean(bound=float("nan")), COLUMN, measure=lambda fitted, X, y: 1.0)
    assert verdict.status == "INCONCLUSIVE"
    assert "premise" in verdict.reason


def test_infinite_bound_is_vacuous_but_not_wrong():
    verdict = check_estimator_bound(Mean(bound=float("inf")), COLUMN, measure=lambda fitted, X, y: 1.0)
    assert verdict.status == "SURVIVED"
    assert verdict.slack.worst == 0.0


def test_missing_attribute_and_undefined_measure_are_errors():
    verdict = check_estimator_bound(Mean(), COLUMN, attribute="radius_", measure=lambda fitted, X, y: 1.0)
    assert verdict.status == "ERROR"
    assert "radius_" in verdict.reason
    verdict = check_estimator_bound(Mean(), COLUMN, measure=lambda fitted, X, y: float("nan"))
    assert verdict.status == "ERROR"
    assert "NaN" in verdict.reason


def test_frames_and_sparse_tables_are_indexed_by_rows():
    import pandas as pd
    from scipy.sparse import csr_array

    class Shape(Mean):
        def fit(self, X):
            self.bound_ = float(X.shape[0])
            return self

    for table in (pd.DataFrame(COLUMN), csr_array(COLUMN)):
        assert check_estimator_bound(Shape(), table, measure=lambda fitted, X, y: X.shape[0]).slack.worst == 1.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delta": 1.5}, "strictly between 0 and 1"),
        ({"rows": 0}, "at least one row"),
        ({"sense": "=="}, "choose '<=' or '>='"),
        ({"y": np.zeros(3)}, "one target per row"),
    ],
)
def test_bad_arguments_name_the_remedy(options, words):
    with pytest.raises(ValueError, match=words):
        estimator_claim(Mean(), COLUMN, measure=lambda fitted, X, y: 0.0, **options)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ClaimDefinitionError, match="has no fit"):
        estimator_claim(len, COLUMN, measure=lambda fitted, X, y: 0.0)
    with pytest.raises(ValueError, match="X has no rows"):
        estimator_claim(Mean(), COLUMN[:0], measure=lambda fitted, X, y: 0.0)
