"""One value against one bound."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs_check.comparing import CLEAR, GROSS, compare, exceeds, ratios
from proofs_check.model import FloatBudget, Instance, Interval, Outcome

INSTANCE = Instance({"n": 1})
BUDGET = FloatBudget(k=8, why="eight")
TOLERANCE = 8 * 2.0**-53 / (1 - 8 * 2.0**-53)

finite = st.floats(-1e6, 1e6)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(finite, finite)
def test_a_ratio_exceeds_one_exactly_when_the_bound_is_exceeded(x, b):
    ratio = float(ratios(x, b))
    assert ratio >= 0
    if abs(x - b) > 1e-9 * max(abs(x), abs(b)):  # the quotient of two equal-looking numbers may round to 1
        assert (ratio > 1) == (x > b)
    assert exceeds(x, b, "<=") == exceeds(b, x, ">=") == (x > b, x > b)


@pytest.mark.parametrize(
    ("x", "b", "ratio"),
    [(1, 2, 0.5), (-2, -1, 0.5), (-1, -2, 2.0), (-1, 1, 0), (1, math.inf, 0), (0, 0, 1), (1, 0, math.inf), (-1, 0, 0), (0, -1, math.inf)],
)
def test_ratios_of_any_sign(x, b, ratio):
    assert float(ratios(x, b)) == ratio


def test_brackets_are_sure_or_possible():
    bracket = Interval(1.0, 3.0, "c")
    assert exceeds(bracket, 4.0, "<=") == (False, False)
    assert exceeds(bracket, 2.0, "<=") == (False, True)
    assert exceeds(bracket, 0.5, "<=") == (True, True)
    assert exceeds(2.0, bracket, "<=") == (False, True)
    assert compare(Outcome(bracket), 2.0, "<=", None, INSTANCE, None).verdict == "unclear"
    assert compare(Outcome(bracket), 0.5, "<=", None, INSTANCE, None).verdict == "refuted"


@pytest.mark.parametrize(
    ("excess", "verdict"),
    [
        (0.0, "holds"),
        (TOLERANCE, "holds"),
        (2 * TOLERANCE, "unclear"),
        (CLEAR * TOLERANCE, "unclear"),
        (1.1 * CLEAR * TOLERANCE, "refuted"),
    ],
)
def test_an_inequality_has_a_grey_zone_of_eight_budgets(excess, verdict):
    assert compare(Outcome(excess), 0.0, "<=", BUDGET, INSTANCE, None).verdict == verdict
    assert compare(Outcome(-excess), 0.0, ">=", BUDGET, INSTANCE, None).verdict == verdict


@pytest.mark.parametrize(
    ("excess", "verdict"), [(TOLERANCE, "holds"), (2 * CLEAR * TOLERANCE, "unclear"), (2 * GROSS * TOLERANCE, "refuted")]
)
def test_an_identity_is_gross_beyond_a_million_budgets(excess, verdict):
    for sign in (1, -1):
        assert compare(Outcome(1.0), 1.0, "==", BUDGET, INSTANCE, None).slack == 0.0
        assert compare(Outcome(sign * excess), 0.0, "==", BUDGET, INSTANCE, None).verdict == verdict


def test_rationals_are_compared_exactly():
    third = Fraction(1, 3)
    assert compare(Outcome(third), third, "==", None, INSTANCE, None).verdict == "holds"
    beyond = third + Fraction(1, 10**400)  # far below the smallest double
    assert compare(Outcome(beyond), third, "==", None, INSTANCE, None).verdict == "refuted"
    assert compare(Outcome(beyond), third, "<=", None, INSTANCE, None).verdict == "refuted"
    assert compare(Outcome(third), beyond, "<=", None, INSTANCE, None).verdict == "holds"


def test_the_budget_sees_the_bound_as_reference():
    budget = FloatBudget(k=8, scale=lambda inst, out: abs(out.reference), why="relative")
    value = 1e20 * (1 + 4 * 2.0**-52)
    assert compare(Outcome(value), 1e20, "==", budget, INSTANCE, None).verdict == "holds"
    assert compare(Outcome(value), 1e20, "==", BUDGET, INSTANCE, None).verdict == "refuted"


def test_the_worst_entry_of_an_array_counts():
    found = compare(Outcome(np.array([0.0, 3.0, 1.0])), np.array([1.0, 2.0, 4.0]), "<=", None, INSTANCE, None)
    assert (found.verdict, found.slack, found.measured, found.bound) == ("refuted", 1.5, 3.0, 2.0)


@pytest.mark.parametrize("pair", [(math.nan, 1.0), (1.0, math.nan), (np.array([1.0, math.nan]), 2.0), (math.inf, math.inf)])
def test_what_is_not_a_number_is_an_error(pair):
    with pytest.raises(ValueError, match="not a number"):
        compare(Outcome(pair[0]), pair[1], "==", BUDGET, INSTANCE, None)


@pytest.mark.parametrize(("power", "verdict"), [(0, "refuted"), (1, "budget"), (0.5, "unclear")])
def test_the_ladder_decides_between(power, verdict):
    """Residuals that go down with the power of the unit roundoff, on the levels that every machine has through mpmath."""
    unit = {"float32": 2.0**-24, "float64": 2.0**-53, "longdouble": float(np.finfo(np.longdouble).eps) / 2, "mpmath": 0.5e-49}
    found = compare(Outcome(1e-10), 0.0, "==", BUDGET, INSTANCE, lambda level: unit[level] ** power)
    assert found.verdict == verdict
    assert found.slope == pytest.approx(power, abs=1e-9)  # a quotient of logarithms of exact powers
