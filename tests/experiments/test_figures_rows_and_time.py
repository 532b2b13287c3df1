"""Figures of accuracy, of the bounds of single rows and of time: oracles, orders and sentences, on tables that take milliseconds."""

import math
from dataclasses import replace

import numpy as np
import pytest

from experiments import figures
from experiments.figures.lp_embeddings import leverage_accuracy, regression_time, sensitivity_bounds

# ------------------------------------------------------------------------------------------------ sensitivities


@pytest.fixture(scope="module")
def sensitivities() -> dict[str, np.ndarray]:
    return sensitivity_bounds.compute(replace(sensitivity_bounds.QUICK, rows=50, columns=4, alone=1))


def test_every_sensitivity_is_below_every_upper_bound_and_one_for_a_row_that_carries_a_column(sensitivities: dict[str, np.ndarray]) -> None:
    low = sensitivities["exact_lower"]
    rounding = 1e-6  # accepted error of leverage scores by their fast path
    for name in ("bracket_upper", "leverage"):
        assert (low <= sensitivities[name] * (1 + rounding)).all()
    assert (low[:, 1] <= sensitivities["lifted"][:, 1] * (1 + rounding)).all()
    assert (sensitivities["exact_upper"] >= sensitivities["bracket_lower"] * (1 - rounding)).all()
    assert (np.diff(sensitivity_bounds.exact(sensitivities), axis=2) <= 0).all()
    np.testing.assert_allclose(low[1, :, 0], 1.0, rtol=sensitivity_bounds.RTOL)  # coherent table, both exponents
    assert sensitivities["bracket_upper"].max() <= 1.0


def test_lewis_weights_are_the_upper_end_below_two_and_the_lower_end_above(sensitivities: dict[str, np.ndarray]) -> None:
    lewis, tolerance = sensitivities["lewis"], 1e-4  # the weights are computed to 1e-6, which the exponents of the bracket magnify
    np.testing.assert_allclose(sensitivities["bracket_upper"][:, 0], np.minimum(lewis[:, 0], 1.0), rtol=tolerance)
    np.testing.assert_allclose(sensitivities["bracket_lower"][:, 1], lewis[:, 1], rtol=tolerance)
    assert np.isnan(sensitivities["lifted"][:, 0]).all()


def test_sentence_about_sensitivities_counts_the_rows_inside(sensitivities: dict[str, np.ndarray]) -> None:
    assert sensitivity_bounds.describe(sensitivities).answer.startswith("200 of 200 sensitivities")
    outside = dict(sensitivities, bracket_upper=sensitivities["bracket_upper"].copy())
    outside["bracket_upper"][0, 0, :3] *= 0.1
    assert sensitivity_bounds.describe(outside).answer.startswith("197 of 200 sensitivities")


# ------------------------------------------------------------------------------------------------ leverage scores


def test_rational_scores_are_those_of_the_formula() -> None:
    # Two equal rows share a direction; a third row is alone in its column: (1/2, 1/2, 1). A column of 3, 4: shares of 25.
    assert leverage_accuracy.exact_scores(np.array([[2.0, 1.0], [2.0, 1.0], [0.0, 7.0]])).tolist() == [0.5, 0.5, 1.0]
    assert leverage_accuracy.exact_scores(np.array([[3.0], [4.0]])).tolist() == [9 / 25, 16 / 25]
    U = np.random.default_rng(0).integers(-500, 501, (40, 5)).astype(float)
    assert math.fsum(leverage_accuracy.exact_scores(U)) == pytest.approx(5, rel=1e-15)


def test_nearly_dependent_tables_have_exactly_the_same_scores_and_the_condition_stated() -> None:
    U = np.random.default_rng(1).integers(-500, 501, (30, 4)).astype(float)
    A, T = leverage_accuracy.nearly_dependent(U, 1e10)
    assert [[int(entry) for entry in row] for row in A] == (U.astype(int).astype(object) @ T.astype(int).astype(object)).tolist()
    assert leverage_accuracy.exact_scores(A).tolist() == leverage_accuracy.exact_scores(U).tolist()
    mild, T = leverage_accuracy.nearly_dependent(U, 1e3)
    R = np.linalg.qr(mild / np.linalg.norm(mild, axis=0), mode="r")
    expected = np.linalg.norm(R, 1) * np.linalg.norm(np.linalg.inv(R), 1)
    assert leverage_accuracy.condition(U, T) == pytest.approx(expected, rel=1e-9)  # condition 1e3 costs numpy's inverse three digits


def test_gram_is_wrong_where_the_automatic_choice_is_right() -> None:
    arrays = leverage_accuracy.compute(replace(leverage_accuracy.QUICK, rows=200, columns=8, tables=3, multiples=(0.0, 1e4, 3e7, 1e12)))
    assert np.median(arrays["gram"][2]) > 1e-3
    assert arrays["auto"][2].max() < 1e-7
    assert np.isnan(arrays["gram"][3]).any()
    assert arrays["auto_path"].tolist() == [[0.0] * 3, [0.0] * 3, [1.0] * 3, [1.0] * 3]
    assert (arrays["cond"][1] < leverage_accuracy.switch()).all()
    assert (arrays["cond"][2] > leverage_accuracy.switch()).all()
    described = leverage_accuracy.describe(arrays)
    assert described.numbers["largest_share_of_bound"] < 1.0


# ------------------------------------------------------------------------------------------------ time


def test_time_figure_measures_what_each_method_bears_and_its_ratio_is_that_of_the_arrays() -> None:
    small = replace(regression_time.QUICK, sizes=(300, 600, 900, 3000), columns=3, tables=2, highs_rows=600)
    arrays = regression_time.compute(small)
    seconds = arrays["seconds"]
    assert (seconds[:2] > 0).all()
    assert np.isfinite(seconds[2, :2]).all()
    assert np.isnan(seconds[2, 2:]).all()
    assert arrays["gap"].max() <= regression_time.TOL
    assert arrays["excess"].max() < 1e-6  # HiGHS stops at its own tolerance of 1e-8 on each condition
    assert (arrays["rows_used"][:3] == [[300.0], [600.0], [900.0]]).all()
    assert (arrays["rows_used"][3] < 3000).all()
    arrays["seconds"][:2, -1] = [[2.0, 2.0], [7.0, 7.0]]
    description = regression_time.describe(arrays)
    assert "interior point on all rows 3.5 times at 3,000 rows" in description.answer
    assert "of this machine" in description.sizes


@pytest.mark.parametrize("peer", [True, False])
def test_time_figure_names_a_peer_only_where_it_was_measured(peer: bool) -> None:
    sizes = np.array([1000, 2000, 4000, 8000])
    seconds = np.outer([1.0, 2.0, 30.0, 4.0 if peer else np.nan], sizes)[:, :, None] * 1e-6
    arrays = {
        "sizes": sizes,
        "columns": np.array(20),
        "seconds": seconds,
        "rows_used": sizes[:, None] / 2,
        "gap": np.full((4, 1), 1e-12),
        "excess": np.full((4, 1), 1e-12),
        "versions": np.array(["0", "0", "scipy 1", "0.5"]),
        "processor": np.array("made up"),
    }
    texts = [text.get_text() for axes in figures.draw("regression_time", arrays).axes for text in axes.texts]
    assert ("pyqreg2 0.5" in texts) is peer
    assert "no size is too small" in regression_time.describe(arrays).answer
    slow_start = dict(arrays, seconds=np.where(sizes[:, None] <= 2000, [[[9.0]], [[1.0]], [[1.0]], [[1.0]]], seconds))
    assert "up to 2,000 rows solving with all of them is faster" in regression_time.describe(slow_start).answer
    assert ("pyqreg2 (0.5)" in regression_time.describe(arrays).sizes) is peer
