"""Float budgets and the precision ladder: rounding must look like rounding, falsehood like falsehood."""

import math

import numpy as np
import pytest

from proofs_check import floats
from proofs_check.floats import climb, gamma, tolerance, unit_roundoff
from proofs_check.model import ClaimDefinitionError, FloatBudget, Instance, Outcome


def leverage_sum_residual(level, *, kappa, error=0.0, n=40, d=6):
    """|trace of X (X'X)^-1 X' - d|, through a hand-written elimination that exists in every precision."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, d)) @ np.diag(np.geomspace(1.0, 1.0 / kappa, d)) @ rng.standard_normal((d, d))
    if level == "mpmath":
        import mpmath

        A = np.vectorize(mpmath.mpf, otypes=[object])(X)
    else:
        A = X.astype(level)
    gram = A.T @ A
    return abs((A * _solve(gram, A.T).T).sum() - d * (1 + error))


def _solve(A, B):
    """Gaussian elimination without pivoting (positive definite input), dtype-agnostic."""
    A, B = A.copy(), B.copy()
    d = len(A)
    for i in range(d):
        B[i], A[i] = B[i] / A[i, i], A[i] / A[i, i]
        for j in range(d):
            if j != i:
                B[j], A[j] = B[j] - A[j, i] * B[i], A[j] - A[j, i] * A[i]
    return B


def test_gamma_bounds_the_error_of_a_plain_sum():
    x = np.random.default_rng(0).random(1000)
    total = 0.0
    for value in x:
        total += value
    assert abs(total - math.fsum(x)) <= gamma(999) * math.fsum(x)


def test_gamma_equals_its_formula_and_grows_with_k():
    u = 2.0**-24
    assert gamma(10, u) == pytest.approx(10 * u / (1 - 10 * u), rel=1e-15)
    assert np.all(np.diff(gamma(np.arange(5))) > 0)


@pytest.mark.parametrize("k", [-1, 2.0**24])
def test_gamma_refuses_counts_for_which_the_bound_says_nothing(k):
    with pytest.raises(ValueError, match="k u < 1"):
        gamma(k, 2.0**-24)


def test_a_budget_needs_a_reason():
    with pytest.raises(ClaimDefinitionError, match="reason"):
        FloatBudget(k=3, why=" ")


INSTANCE = Instance({"n": 7})


def test_the_tolerance_is_the_product_of_its_factors():
    budget = FloatBudget(k=lambda inst, out: inst.n + 1, cond=100.0, scale=lambda inst, out: out.value, why="test")
    value = tolerance(budget, INSTANCE, Outcome(3.0, cond=2.0))
    assert value == pytest.approx(gamma(8) * 100 * 2 * 3, rel=1e-14)
    assert tolerance(budget, INSTANCE, Outcome(3.0, cond=2.0), unit=2.0**-24) / value == pytest.approx(2.0**29, rel=1e-5)


def test_a_condition_number_computed_by_the_budget_is_not_counted_twice():
    budget = FloatBudget(k=8, cond=lambda inst, out: out.cond, why="test")
    assert tolerance(budget, INSTANCE, Outcome(0.0, cond=5.0)) == pytest.approx(gamma(8) * 5.0, rel=1e-14)


def test_a_tolerance_per_iterate_is_an_array():
    budget = FloatBudget(k=lambda inst, out: np.arange(1, 4), why="one more rounding per iterate")
    np.testing.assert_allclose(tolerance(budget, INSTANCE, Outcome(np.zeros(3))), gamma(np.arange(1, 4)), rtol=1e-14)


def test_a_factor_that_is_not_a_number_is_refused_by_name():
    with pytest.raises(ValueError, match="scale"):
        tolerance(FloatBudget(k=8, scale=lambda inst, out: math.nan, why="test"), INSTANCE, Outcome(0.0))


@pytest.mark.parametrize("kappa", [1.0, 30.0, 1000.0])
def test_a_true_identity_beyond_its_tolerance_is_rounding(kappa):
    ladder = climb(lambda level: leverage_sum_residual(level, kappa=kappa))
    assert ladder.verdict == "budget", ladder.describe()
    assert ladder.residuals[0] > 0


@pytest.mark.parametrize("kappa", [1.0, 30.0, 1000.0])
def test_a_relative_error_of_six_in_ten_million_is_false(kappa):
    ladder = climb(lambda level: leverage_sum_residual(level, kappa=kappa, error=1e-7))
    assert ladder.verdict == "refuted", ladder.describe()


def test_the_two_finest_levels_decide_where_float32_hides_the_error():
    def residual(level):
        return 6e-7 + 300.0 * unit_roundoff(level)

    ladder = climb(residual)
    coarse = math.log(residual("float64") / residual("float32")) / math.log(unit_roundoff("float64") / unit_roundoff("float32"))
    assert coarse > 0.1
    assert ladder.slope < 1e-6
    assert ladder.verdict == "refuted"


@pytest.mark.parametrize(("error", "verdict"), [(0.0, "budget"), (1e-7, "refuted")])
def test_mpmath_replaces_a_missing_long_double(monkeypatch, error, verdict):
    monkeypatch.setattr(floats, "unit_roundoff", lambda level="float64": unit_roundoff("float64" if level == "longdouble" else level))
    ladder = climb(lambda level: leverage_sum_residual(level, kappa=1000.0, error=error))
    assert ladder.levels[-1] == "mpmath"
    assert ladder.verdict == verdict


def test_without_anything_finer_than_double_nothing_is_concluded():
    assert climb(lambda level: 1e-3, levels=("float32", "float64")).verdict == "unclear"


def test_residuals_between_rounding_and_falsehood_climb_to_fifty_digits():
    middle = {"float32": 1e-3, "float64": 1e-8, "longdouble": 1e-10, "mpmath": 1e-10}
    ladder = climb(lambda level: middle[level])
    assert ladder.levels[-1] == "mpmath"
    assert ladder.verdict == "refuted"


def test_residuals_computed_elsewhere_are_judged_alike():
    ladder = climb({"float32": 1e-5, "float64": 3e-12, "longdouble": 2.9e-12})
    assert ladder.verdict == "refuted"
    assert climb({"float32": 1e-5, "float64": 3e-12}).verdict == "unclear"


def test_levels_that_a_claim_cannot_evaluate_are_left_out():
    def residual(level):
        if level == "longdouble":
            raise NotImplementedError
        return 5.0 * unit_roundoff(level)

    ladder = climb(residual)
    assert ladder.levels == ("float32", "float64", "mpmath")
    assert ladder.verdict == "budget"


def test_overflow_in_the_coarse_precision_says_nothing():
    assert climb(lambda level: math.inf if level == "float32" else unit_roundoff(level)).levels[0] == "float64"


def test_a_residual_that_vanishes_in_the_finest_precision_was_rounding():
    assert climb(lambda level: 0.0 if level == "longdouble" else 1e-3).slope == math.inf
