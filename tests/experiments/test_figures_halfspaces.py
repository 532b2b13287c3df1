"""Figures of testable halfspaces: facts that could be false, on tables that take tenths of a second."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import linprog
from scipy.stats import binom, norm

from experiments import figures
from experiments.baselines import polynomial_regression as baseline
from experiments.figures.testable_halfspaces import (
    acceptance_power,
    agnostic_ratio,
    certified_excess,
    descent_rate,
    empty_band,
    excess_by_noise,
    real_tables,
    slack_budget,
    time_by_dimension,
)
from experiments.figures.testable_halfspaces._labels import label_shifts

RARE = 1e-6  # binomial tails of fixed seeds that a true statement would not show


def texts(name: str, arrays: dict[str, np.ndarray]) -> list[str]:
    figure = figures.draw(f"testable_halfspaces/{name}", arrays)
    legends = [legend for axes in figure.axes if (legend := axes.get_legend())]
    shown = [*(text for axes in figure.axes for text in axes.texts), *(text for legend in legends for text in legend.texts)]
    return [text.get_text() for text in shown]


# ------------------------------------------------------------------------------------------------ peer: l1 polynomial regression


def test_monomials_are_all_products_of_powers() -> None:
    X = np.random.default_rng(0).integers(-3, 4, (7, 3)).astype(float)
    powers = [(a, b, c) for a in range(4) for b in range(4) for c in range(4) if a + b + c <= 3]
    expected = [np.prod(X**power, axis=1) for power in powers]
    table = baseline.monomials(X, 3)
    assert table.shape == (7, math.comb(6, 3))
    assert sorted(map(tuple, table.T)) == sorted(map(tuple, expected))  # small whole numbers: exact


def test_polynomial_minimises_the_absolute_residuals() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((60, 2)), rng.choice([-1.0, 1.0], 60)
    fitted = baseline.fit_polynomial(X, y, 2, tol=1e-9)
    table = baseline.monomials(X, 2)
    n, k = table.shape
    program = linprog(
        np.r_[np.zeros(k), np.ones(n)],
        A_ub=np.block([[table, -np.eye(n)], [-table, -np.eye(n)]]),
        b_ub=np.r_[y, -y],
        bounds=[(None, None)] * k + [(0, None)] * n,
    )
    assert np.abs(y - table @ fitted.coef).sum() == pytest.approx(program.fun, rel=1e-7)  # HiGHS stops at 1e-7 itself


def test_threshold_makes_the_fewest_mistakes_of_all_thresholds() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        values, labels = rng.integers(-3, 4, 15).astype(float), rng.choice([-1.0, 1.0], 15)

        def mistakes(threshold: float, values: np.ndarray = values, labels: np.ndarray = labels) -> int:
            return int(np.count_nonzero((values >= threshold) != (labels > 0)))

        assert mistakes(baseline.best_threshold(values, labels)) == min(map(mistakes, np.arange(-4.5, 5.0)))


def test_prediction_in_blocks_equals_prediction_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    classifier = baseline.PolynomialClassifier(2, rng.standard_normal(6), 0.1)
    X = rng.standard_normal((23, 2))
    expected = classifier.predict(X)
    monkeypatch.setattr(baseline, "_BLOCK", 24)
    np.testing.assert_array_equal(classifier.predict(X), expected)


# ------------------------------------------------------------------------------------------------ error against noise


@pytest.fixture(scope="module")
def excess() -> dict[str, np.ndarray]:
    small = replace(
        excess_by_noise.QUICK, rows=1500, columns=3, fresh=5000, tables=2, polynomial_tables=1, certified_rows=8000, certified_columns=2
    )
    return excess_by_noise.compute(small)


def test_ramp_path_survives_far_off_rows_that_ruin_convex_losses(excess: dict[str, np.ndarray]) -> None:
    far = excess["excess"][-1]  # 5 % of the rows at -20 w*, labelled +1
    assert far[0].max() < 0.02
    assert far[2:4].min() > 0.3
    assert np.isnan(excess["excess"][:, 5, 1]).all()
    assert np.isfinite(excess["excess"][:, :5]).all()


def test_certificates_never_contradict_what_was_planted(excess: dict[str, np.ndarray]) -> None:
    assert (excess["proved"][:6] >= excess["truth"][:6]).all()
    assert (excess["proved"][6:] <= excess["truth"][6:]).all()
    assert (excess["proved"][6:9] > 0).all()
    assert "0 of 11 certificates contradict" in excess_by_noise.describe(excess).answer
    lying = dict(excess, proved=excess["proved"].copy())
    lying["proved"][5], lying["proved"][7] = 0.0, 0.9
    assert "2 of 11 certificates contradict" in excess_by_noise.describe(lying).answer


def test_excess_of_flipped_rows_is_that_of_the_formula() -> None:
    # Flips of probability eta on every row: excess (1 - 2 eta) times the share on which the halfspaces differ.
    wrong = np.arange(1000) % 4 == 0
    assert excess_by_noise.excess_error(wrong, np.full(1000, 0.3)) == pytest.approx(0.25 * 0.4, rel=1e-12)
    table, X, flips = excess_by_noise._instances(0, 2000, 3, 4000, [7])
    assert len(table.X) == 2000
    assert len(X) == 4000
    np.testing.assert_array_equal(flips, 0.1)


def test_noise_figure_names_every_method_and_group(excess: dict[str, np.ndarray]) -> None:
    shown = texts("excess_by_noise", excess)
    assert set(excess_by_noise.NAMES) <= set(shown)
    assert {name for name, _, _ in excess_by_noise.GROUPS} <= set(shown)


# ------------------------------------------------------------------------------------------------ certificates


def test_agnostic_ratio_is_above_one_and_infinite_where_nothing_is_certified() -> None:
    arrays = agnostic_ratio.compute(replace(agnostic_ratio.QUICK, shapes=((4000, 2), (1500, 4)), rates=(0.05, 0.1, 0.2, 0.3), tables=2))
    ratios = agnostic_ratio.ratios(arrays)
    assert (ratios > 1).all()
    assert np.isfinite(ratios[0]).all()
    assert np.isinf(ratios[1]).any()
    assert (arrays["lower"] <= arrays["planted"]).all()
    assert float(arrays["limit"]) == pytest.approx(39.4, abs=0.05)  # the design's constant, by an independent quadrature
    assert "× nothing certified" in texts("agnostic_ratio", arrays)
    assert "0 certificates exceed" in agnostic_ratio.describe(arrays).answer


def test_certified_excess_falls_with_rows_and_rises_with_noise() -> None:
    small = replace(certified_excess.QUICK, dimensions=(2,), rows=(2000, 8000, 32_000), etas=(0.0, 0.3), eta_rows=8000, most_entries=5e4)
    arrays = certified_excess.compute(small)
    assert np.isnan(arrays["certified_by_rows"][0, 2]).all()  # 64,000 entries
    assert (np.diff(np.median(arrays["certified_by_rows"][0, :2], axis=1)) < 0).all()
    assert np.median(arrays["certified_by_eta"][0, 0]) < np.median(arrays["certified_by_eta"][0, 1])
    for by in ("by_rows", "by_eta"):
        known = np.isfinite(arrays[f"certified_{by}"])
        assert (arrays[f"certified_{by}"][known] > arrays[f"true_{by}"][known]).all()
    described = certified_excess.describe(arrays)
    assert "at d = 2 and 8,000 rows" in described.answer
    assert "0 of 12 certificates are below the truth" in described.answer
    assert described.numbers["certified"]["d=2"][2] is None


def test_slack_budget_adds_up_to_what_is_certified() -> None:
    arrays = slack_budget.compute(replace(slack_budget.QUICK, rows=(20_000, 30_000), tables=2))
    steps = arrays["steps"]
    assert (np.diff(steps[..., :3], axis=2) >= 0).all()  # more to exceed excludes less
    assert (steps[..., -1] > arrays["true"]).all()
    np.testing.assert_allclose(slack_budget.shares(arrays).sum(axis=1), 1.0, rtol=1e-12)
    names = {name for name in texts("slack_budget", arrays) if name}
    assert set(slack_budget.NAMES) <= names


def test_slack_of_gaussian_constants_is_the_angle_over_pi() -> None:
    # Without noise nor gradient, and at exactly that angle, the first and the last part agree: tan(theta) = .495 sigma for eta = .2.
    parts = slack_budget.budget(0.495 * 0.1, 0.1, 0.0, 0.0, 0.6)
    np.testing.assert_allclose(parts, math.atan(0.0495) / math.pi, rtol=1e-3)  # the constant has three digits


# ------------------------------------------------------------------------------------------------ descent


@pytest.mark.parametrize(("angle", "sigma"), [(0.01, 1.0), (0.7, 0.5), (1.5, 0.2), (2.6, 0.5)])
def test_gradient_length_is_the_integral_over_both_coordinates(angle: float, sigma: float) -> None:
    from algos.testable_halfspaces.bounds import ramp_density

    def pushed(t: float) -> float:
        # E[u sign(t cos + u sin)] over u ~ N(0, 1), by quadrature on both sides of the place where the sign changes
        edge = -t / math.tan(angle)
        upper, lower = (quad(lambda u: u * norm.pdf(u), *ends)[0] for ends in ((edge, np.inf), (-np.inf, edge)))
        return float(ramp_density(margin=t, sigma=sigma)) * norm.pdf(t) * (upper - lower)

    width = min(sigma / 2, 9 * abs(math.tan(angle)))
    nodes, weights = np.polynomial.legendre.leggauss(60)
    half = [0.5 * width * weight * pushed(0.5 * width * (node + 1)) for node, weight in zip(nodes, weights, strict=True)]
    expected = 0.6 * 2 * sum(half)
    assert float(descent_rate.gradient_length(np.array([angle]), sigma, 0.2)[0]) == pytest.approx(expected, abs=1e-6)


def test_descent_comes_closer_with_more_rows_and_keeps_below_its_bound() -> None:
    arrays = descent_rate.compute(replace(descent_rate.QUICK, sigmas=(0.5,), steps=(300, 1000, 3000, 10_000), columns=4, runs=6))
    middle = np.median(arrays["angle"], axis=2)[0]
    assert middle[-1] < middle[0] / 2
    assert (np.sqrt(np.mean(arrays["gradient"] ** 2, axis=2)) < arrays["bound"]).all()
    slope = np.diff(np.log(arrays["bound"][0])) / np.diff(np.log(arrays["steps"]))
    assert slope[-1] == pytest.approx(-0.25, abs=0.01)
    assert {"σ = 0.5", "bound, σ = 0.5", "slope −1/4"} <= set(texts("descent_rate", arrays))


# ------------------------------------------------------------------------------------------------ empty band


def test_gauss_hermite_rows_match_seven_moments_and_leave_the_band_empty() -> None:
    arrays = empty_band.compute(replace(empty_band.QUICK, rows=6000, columns=3, angles=19))
    assert empty_band.matched_degree(arrays["moments"]) == 7
    assert arrays["gradient"].tolist() == [0.0] * 3
    # P(sign x1 != sign(x1 + x2)) = sum of weights times Phi(-node); binomial tails for the 6,000 rows
    expected = 2 * float(arrays["weights"][2:] @ norm.cdf(-arrays["nodes"][2:]))
    count = round(float(arrays["axis_error"]) * 6000)
    assert binom.cdf(count, 6000, expected) > RARE
    assert binom.sf(count - 1, 6000, expected) > RARE
    assert arrays["test_passed"].all()
    assert not arrays["band_passed"][0].any()
    assert arrays["vacuous"]
    planted = np.argmin(np.abs(np.degrees(arrays["angles"]) - 45))
    assert arrays["error"][planted] == 0
    assert (arrays["loss"][:, planted] == arrays["loss"].min(axis=1)).all()
    assert "up to degree 7" in empty_band.describe(arrays).answer


def test_gaussian_moments_are_those_of_the_density() -> None:
    for degree in range(9):
        value = quad(lambda x, degree=degree: x**degree * norm.pdf(x), -12, 12)[0]
        assert empty_band.gaussian_moment(degree) == pytest.approx(value, abs=1e-6)


# ------------------------------------------------------------------------------------------------ acceptance


def test_far_directions_and_heavy_tails_are_refused_and_the_gaussian_is_not() -> None:
    small = replace(
        acceptance_power.QUICK,
        rows=800,
        columns=3,
        separations=(0.3, 0.95),
        freedoms=(3.0, 1000.0),
        tables=10,
        null_tables=20,
        simulated=79,
    )
    arrays = acceptance_power.compute(small)
    assert arrays["planted"][:3, 1].tolist() == [0, 0, 0]
    assert arrays["heavy"][:, 0].tolist() == [0, 0]
    assert binom.cdf(int(arrays["null"][0]), 20, 1 - acceptance_power.LEVEL) > 1e-3
    assert "l = 0.95 on" in acceptance_power.describe(arrays).answer
    assert {"independent t", "coordinates", "promised for the Gaussian"} <= set(texts("acceptance_power", arrays))


def test_coordinate_threshold_has_its_rank() -> None:
    small = replace(acceptance_power.QUICK, rows=50, columns=2, simulated=39)
    keys = ([small.seed, 1_000_000, table] for table in range(39))
    found = sorted(acceptance_power.smallest_coordinate(np.random.default_rng(key).standard_normal((50, 2))) for key in keys)
    assert acceptance_power.coordinate_threshold(small) == found[1]  # rank 2 of 39: two fortieths


# ------------------------------------------------------------------------------------------------ time


def test_moments_by_products_are_the_means_of_monomials() -> None:
    rng = np.random.default_rng(4)
    X = rng.integers(-4, 5, (9, 2)).astype(float)
    table = time_by_dimension.matched_moments(X, 4)
    powers = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
    for i, (a, b) in enumerate(powers):
        for j, (c, d) in enumerate(powers):
            exact = Fraction(int(np.sum(X[:, 0].astype(int) ** (a + c) * X[:, 1].astype(int) ** (b + d))), 9)
            assert table[i, j] == pytest.approx(float(exact), rel=1e-12)


def test_features_are_counted_and_slow_methods_left_out() -> None:
    # numbers of the design: C(d + k, k)
    assert [time_by_dimension.features(f"moments {k}", 20) for k in (4, 6, 8)] == [10_626, 230_230, 3_108_105]
    arrays = time_by_dimension.compute(replace(time_by_dimension.QUICK, rows=200, dimensions=(2, 3, 4, 6), tables=1, most_work=2e6))
    known = np.isfinite(arrays["seconds"][..., 0])
    assert known[0].all()
    assert known[3].tolist() == [True, True, True, False]  # 200 * C(10, 6)^2 is above 2e6
    assert (arrays["seconds"][known] > 0).all()
    assert "at d = 6" in time_by_dimension.describe(arrays).answer
    assert set(time_by_dimension.NAMES) <= set(texts("time_by_dimension", arrays))


# ------------------------------------------------------------------------------------------------ real tables


def test_twonorm_is_refused_along_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_tables, "DATA", ("ring", "phoneme", "twonorm"))  # the others take seconds
    arrays = real_tables.compute(replace(real_tables.QUICK, most_rows=700))
    assert not arrays["all_passed"].any()
    place = real_tables.DATA.index("twonorm")
    assert not arrays["passed"][place, real_tables.TESTS.index("kurtosis_low")]
    assert arrays["along_classes"][place, 4] > 0.99
    assert (arrays["opt_lower"] <= arrays["ramp_error"]).all()
    shown = texts("real_tables", arrays)
    assert sum(text.startswith("refused: ") for text in shown) == 3
    assert "3 of 3 are refused" in real_tables.describe(arrays).answer


# ------------------------------------------------------------------------------------------------ names


def test_names_stay_in_order_and_a_line_apart() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        ends = 10.0 ** rng.uniform(0.5, 1.5, 5)
        shifts = label_shifts(ends, (1.0, 100.0))
        places = 245.0 * np.log(ends) / np.log(100.0)
        order = np.argsort(ends)
        assert (np.diff((places + shifts)[order]) > 12.0 - 1e-9).all()
        assert abs(shifts.sum()) < 1e-9
    assert label_shifts([np.nan, 2.0], (1.0, 10.0)).tolist() == [0.0, 0.0]


def test_same_seed_same_arrays_for_any_number_of_jobs() -> None:
    small = replace(agnostic_ratio.QUICK, shapes=((1000, 2),), rates=(0.1, 0.2), tables=2)
    first, second = (agnostic_ratio.compute(small, jobs=jobs) for jobs in (1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert not np.array_equal(first["error"], agnostic_ratio.compute(replace(small, seed=1))["error"])
