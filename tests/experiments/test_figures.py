"""Figures: computed once, saved without pickle, drawn from what was saved; their numbers are what they claim to be."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from experiments import figures
from experiments.figures import style
from experiments.figures.lp_embeddings import (
    distortion_by_sampler,
    flights_quantile_error,
    flights_scores,
    lewis_convergence,
    mixture_instance,
    rows_needed,
    size_formulas,
)

ENTRY = figures.find("lewis_convergence")[0]


@pytest.mark.parametrize("entry", figures.catalogue().values(), ids=lambda entry: entry.key)
def test_every_module_has_what_the_frame_asks_for(entry: figures.Entry) -> None:
    import importlib

    module = importlib.import_module(entry.module)
    assert entry.summary.endswith(".")
    assert module.QUICK.seed == module.FULL.seed == 0
    assert module.TITLE
    assert module.TOPIC
    assert isinstance(module.DATA, tuple)


def test_picture_is_svg_with_text_and_the_record_tells_the_whole_caption(made: figures.FigureResult) -> None:
    root = ElementTree.fromstring(made.svg)
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "exponent p" in texts
    assert len(made.svg) < 300_000
    record = json.loads(made.files[1].read_text())
    assert record == made.record
    for part in ("question", "answer", "data", "sizes"):
        assert record[part] in record["caption"]
    assert re.search(r"\d", record["answer"])
    assert "Seed 0, quick tier." in record["caption"]
    assert f"numpy {np.__version__}" in record["caption"]
    assert record["provenance"]["versions"]["numpy"] == np.__version__
    assert set(made.for_report()) == {"system", "topic", "name", "title", "svg", "alt", "caption", "provenance", "data"}


def test_ids_do_not_collide_when_figures_share_a_page(made: figures.FigureResult) -> None:
    ids = re.findall(r'\bid="([^"]+)"', made.svg)
    assert all(name.startswith("lewis_convergence-") for name in ids)
    used = re.findall(r'href="#([^"]+)"', made.svg) + re.findall(r"url\(#([^)]+)\)", made.svg)
    assert used
    assert set(used) <= set(ids)


def test_redraw_from_the_saved_arrays_gives_the_same_bytes(made: figures.FigureResult) -> None:
    assert figures.redraw(ENTRY, out=made.files[0].parents[1]).svg == made.svg


def test_same_seed_same_arrays_for_any_number_of_jobs(small_convergence: Any) -> None:
    first, second = (small_convergence.compute(small_convergence.QUICK, jobs=jobs) for jobs in (1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    other = small_convergence.compute(replace(small_convergence.QUICK, seed=1))
    assert not np.array_equal(first["residuals"], other["residuals"])


def test_redraw_of_what_was_not_computed_says_how_to_compute_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="compute the figure first: python -m experiments figure lewis_convergence"):
        figures.redraw(ENTRY, out=tmp_path)


def test_style_holds_inside_its_context_only() -> None:
    import matplotlib as mpl

    before = mpl.rcParams["svg.fonttype"], mpl.rcParams["axes.spines.top"]
    with mpl.rc_context({"axes.spines.top": True, "font.size": 20}), style.style():
        assert mpl.rcParams["svg.fonttype"] == "none"
        assert not mpl.rcParams["axes.spines.top"]
        assert mpl.rcParams["font.size"] == 9
    assert (mpl.rcParams["svg.fonttype"], mpl.rcParams["axes.spines.top"]) == before


# ------------------------------------------------------------------------------------------------ Lewis convergence


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
def test_iteration_rests_at_the_lewis_weights_of_an_identity(p: float) -> None:
    # Every Lewis weight of an orthonormal square matrix is 1, for every p: the residual is 0 there.
    A = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5))).Q
    residuals = lewis_convergence.iterate(A, p, 1.0, np.ones(5), 4)
    assert np.abs(residuals).max() < 1e-12  # rounding of five-term sums


def test_scale_mode_contracts_at_exactly_the_classical_rate() -> None:
    # From c times the weights, T gives c^(1-p/2) times the weights: the residual |ln c| p/2 shrinks by |1 - p/2|.
    residuals = lewis_convergence.iterate(np.eye(4), 3.0, 1.0, np.full(4, 1.7), 6)
    np.testing.assert_allclose(residuals, 1.5 * math.log(1.7) * 0.5 ** np.arange(6), rtol=1e-12)


def test_contraction_recovers_a_rate_that_alternates_and_ignores_rounding() -> None:
    steps = np.arange(12)
    alternating = 0.3**steps * np.where(steps % 2, 2.0, 1.0)
    assert lewis_convergence.contraction(alternating, (2, 10)) == pytest.approx(0.3, rel=1e-12)
    stalled = np.maximum(0.01**steps, 1e-13)
    assert lewis_convergence.contraction(stalled, (1, 11)) == pytest.approx(0.01, rel=1e-12)
    assert math.isnan(lewis_convergence.contraction(np.zeros(12), (2, 10)))


def test_measured_factors_are_the_stated_rates(small_convergence: Any) -> None:
    arrays = small_convergence.compute(small_convergence.QUICK)
    # 2 %: what is left of the faster modes after four steps, at the slowest decay of the family (p = 6).
    np.testing.assert_allclose(np.median(arrays["relaxed_factor"], axis=1), [1 / 3, 1 / 5, 1 / 2], rtol=0.02)
    np.testing.assert_allclose(np.median(arrays["classical_factor"], axis=1), [1 / 2, 1 / 2, 2.0], rtol=0.02)


# ------------------------------------------------------------------------------------------------ flights


@pytest.fixture(scope="module")
def scores() -> dict[str, np.ndarray]:
    return flights_scores.compute(replace(flights_scores.QUICK, draws=40))


def test_uniform_misses_carriers_as_often_as_the_closed_form_says(scores: dict[str, np.ndarray]) -> None:
    from scipy.stats import binom

    rows, m, draws = int(scores["shape"][0]), int(scores["sample_size"]), int(scores["draws"])
    np.testing.assert_allclose(scores["uniform_miss"], (1 - m / rows) ** scores["flights"].astype(float), rtol=1e-10)
    for measured, probability in zip(scores["uniform_missed"] * draws, scores["uniform_miss"], strict=True):
        # Two-sided binomial tails at 1e-4 each; 15 carriers, fixed seed.
        assert binom.cdf(measured, draws, probability) > 1e-4
        assert binom.sf(measured - 1, draws, probability) > 1e-4


def test_scores_never_lose_a_carrier_and_reach_333_times_the_average(scores: dict[str, np.ndarray]) -> None:
    assert not scores["leverage_missed"].any()
    assert not scores["lewis_missed"].any()
    assert scores["leverage_over_average"][0] == pytest.approx(333, abs=0.5)
    assert scores["lewis_over_average"][0] == pytest.approx(332, abs=1)
    for name in ("uniform", "leverage", "lewis"):
        assert (np.diff(scores[f"{name}_over_average"]) <= 0).all()
    text = flights_scores.describe(scores).answer
    assert "333 times" in text
    assert "carrier OO (29 flights) with probability 0.84" in text


def test_losses_on_all_rows_equal_the_formula() -> None:
    rng = np.random.default_rng(0)
    X, y, coefs = rng.standard_normal((9000, 3)), rng.standard_normal(9000), rng.standard_normal((4, 3))
    t = 0.9
    residuals = y[:, None] - X @ coefs.T
    expected = np.where(residuals > 0, t * residuals, (t - 1) * residuals).sum(axis=0)
    np.testing.assert_allclose(flights_quantile_error._losses(X, y, t, coefs), expected, rtol=1e-12)


def test_quantile_figure_on_few_rows_orders_error_and_proof() -> None:
    small = replace(flights_quantile_error.QUICK, sizes=(500, 4000), quantiles=(0.5,), draws=2, certified_sizes=(8000,))
    arrays = flights_quantile_error.compute(small)
    assert arrays["excess"].shape == (1, 3, 2, 2)
    assert (arrays["excess"] > 0).all()  # nothing beats a proven lower bound
    assert (np.median(arrays["excess"], axis=-1)[..., 0] > np.median(arrays["excess"], axis=-1)[..., 1]).all()
    assert arrays["certified_gap"].max() <= flights_quantile_error.TOL
    assert arrays["rank_lost"][0, 0, 0].min() > 0  # 500 uniform rows miss carrier OO with probability 0.96, and others
    assert not arrays["rank_lost"][0, 1:].any()
    description = flights_quantile_error.describe(arrays)
    assert "of 2 draws" in description.answer


# ------------------------------------------------------------------------------------------------ samples of rows


def test_crossings_of_falling_shares() -> None:
    sizes = np.array([1.0, 10.0, 100.0, 1000.0])
    np.testing.assert_allclose(rows_needed.first_crossings(sizes, np.array([1.0, 0.5, 0.0, 0.0])), [10**0.5, 10, 10**1.5], rtol=1e-6)
    # shares that rise by chance are read as falling: the first time counts
    np.testing.assert_allclose(rows_needed.first_crossings(sizes, np.array([1.0, 0.0, 0.6, 0.0])), [10**0.25, 10**0.5, 10**0.75], rtol=1e-6)


def test_rows_needed_lie_between_the_rank_and_the_promise() -> None:
    small = replace(rows_needed.QUICK, exponents=(1.0, 4.0), dimensions=(4, 8), trials=4, rows=200, drawn=8, step=500)
    arrays = rows_needed.compute(small)
    assert arrays["needed"].shape == (2, 2, 3)
    assert (np.diff(arrays["needed"], axis=2) >= 0).all()  # fewer failures take more rows
    promised = [[rows_needed._promise(p, S) for S in row] for p, row in zip(arrays["p"], arrays["total"], strict=True)]
    assert (arrays["needed"][..., 0] >= arrays["d"]).all()
    assert (arrays["needed"][..., 2] <= promised).all()
    # S = 2 d / (1 + d^(1 - p/2)) at d = 4, p = 1 and d = 8, p = 4
    np.testing.assert_allclose(arrays["total"][[0, 1], [0, 1]], [8 / 3, 128 / 9], rtol=1e-12)
    assert (arrays["placed"][:, 2] <= arrays["placed"][:, 1]).all()
    assert "theory 2" in rows_needed.describe(arrays).answer


def test_mixture_loses_rank_at_least_as_often_as_too_few_directions_are_kept() -> None:
    from scipy.stats import binom

    arrays = mixture_instance.compute(replace(mixture_instance.QUICK, sizes=(120, 240), draws=40))
    lost, draws = arrays["lost"], int(arrays["draws"])
    assert (binom.cdf(lost, draws, np.minimum(arrays["too_few_at_sizes"], 1.0)) > 1e-6).all()
    assert lost[0, 1] > 30  # 0.94 of samples by sensitivities, in 1000 draws
    assert (lost[1:, 1] == 0).all()
    assert "at least 88.4 %" in mixture_instance.describe(arrays).answer


def test_importance_beats_uniform_sampling_on_heavy_tails() -> None:
    small = replace(distortion_by_sampler.QUICK, exponents=(4.0,), rows=200, sizes=(30, 90), draws=3)
    arrays = distortion_by_sampler.compute(small)
    covered = ~np.isnan(arrays["distortion"]).all(axis=(-1, -2))[0]
    assert covered.all(axis=0).tolist() == [True, True, False, True, True, False, True]
    medians = np.median(arrays["distortion"][0, 0], axis=-1)
    assert medians[3, 1] < 0.1 < medians[0, 1]
    assert distortion_by_sampler._first_below(np.array([0.4, 0.6, 0.5, 0.1]), np.array([1, 2, 3, 4])) == 3
    assert np.isnan(distortion_by_sampler._first_below(np.array([0.4, 0.6]), np.array([1, 2])))


def test_formulas_stand_beside_the_rows_needed() -> None:
    arrays = size_formulas.compute(replace(size_formulas.QUICK, dimension=2, rows=120, trials=6))
    # S = 2 for coordinates and 4 / (1 + sqrt 2) for two bases at p = 1; S d / eps^2 with d = 2 and eps = 1/2
    np.testing.assert_allclose(arrays["total"][0, :2], [2, 4 / (1 + math.sqrt(2))], rtol=1e-12)
    np.testing.assert_allclose(arrays["formula"][0, :2, 0], [16, 32 / (1 + math.sqrt(2))], rtol=1e-12)
    assert np.isnan(arrays["needed"][1, :, len(size_formulas.LARGE_P) :]).all()
    assert (arrays["needed"][0] >= 2).all()
    assert len(size_formulas.describe(arrays).numbers["needed_over_formula"]) == 10
