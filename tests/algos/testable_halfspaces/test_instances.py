"""What the generators claim about themselves, against exact moments, the exact oracles and the testers that must reject them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from algos.testable_halfspaces.band_test import band_test
from algos.testable_halfspaces.exact_oracles import exact_halfspace_error
from algos.testable_halfspaces.instances import (
    ADVERSARIES,
    GAUSS_HERMITE_NODES,
    GAUSS_HERMITE_WEIGHTS,
    MARGINALS,
    make_halfspace,
    must_reject_panel,
)
from algos.testable_halfspaces.moment_tests import gaussian_moment_test
from algos.testable_halfspaces.ramp_learner import ramp_loss, ramp_path

SIGMAS = 5.0  # sampling errors are allowed so many standard deviations: one draw in two million


def mistakes(instance):
    return np.count_nonzero((instance.X @ instance.w >= 0) != (instance.y > 0))


@pytest.mark.parametrize("marginal", sorted(set(MARGINALS) - {"hidden-cluster"}))
def test_rows_have_mean_zero_and_unit_covariance(marginal):
    n = 40_000
    X = make_halfspace(n, 3, marginal=marginal, df=12.0, random_state=0).X
    fourth = np.mean(X**4, axis=0).max()
    assert np.abs(X.mean(axis=0)).max() < SIGMAS / np.sqrt(n)
    assert np.abs(X.T @ X / n - np.eye(3)).max() < SIGMAS * np.sqrt(fourth / n)


def test_gauss_hermite_nodes_have_gaussian_moments_to_degree_seven():
    nodes = np.array([*GAUSS_HERMITE_NODES, *(-v for v in GAUSS_HERMITE_NODES)])
    weights = np.array(GAUSS_HERMITE_WEIGHTS * 2)
    for degree, moment in enumerate([1, 0, 1, 0, 3, 0, 15, 0]):
        assert weights @ nodes**degree == pytest.approx(moment, abs=1e-12)
    assert weights @ nodes**8 != pytest.approx(105, abs=1.0)


@pytest.mark.parametrize(("noise", "adversary"), [("none", None), ("rcn", None), *(("massart", a) for a in ("wedge", "near", "far")),
                                                  *(("agnostic", a) for a in ADVERSARIES)])  # fmt: skip
def test_records_count_their_own_mistakes_and_keep_to_the_rate(noise, adversary):
    rate = 0.0 if noise == "none" else 0.2
    instance = make_halfspace(2000, 2, noise=noise, rate=rate, adversary=adversary, random_state=1)
    assert instance.n_mistakes == mistakes(instance)
    assert exact_halfspace_error(instance.X, instance.y).n_mistakes <= instance.n_mistakes
    assert np.linalg.norm(instance.w) == pytest.approx(1.0, abs=1e-12)
    assert instance.flips.max(initial=0.0) <= (1.0 if noise == "agnostic" else rate)
    if noise == "agnostic":
        assert instance.n_mistakes == np.count_nonzero(instance.flips) <= 400
    for array in (instance.X, instance.y, instance.w, instance.flips):
        assert not array.flags.writeable


def test_massart_adversaries_flip_only_where_they_may():
    wedge = make_halfspace(5000, 3, noise="massart", rate=0.4, random_state=2)
    near = make_halfspace(5000, 3, noise="massart", rate=0.4, adversary="near", random_state=2)
    far = make_halfspace(5000, 3, noise="massart", rate=0.4, adversary="far", random_state=2)
    share = np.mean(wedge.flips > 0)
    assert share == pytest.approx(0.8 / np.pi, abs=SIGMAS * 0.5 / np.sqrt(5000))  # a wedge of 0.8 rad, of both signs
    margins = np.abs(near.X @ near.w)
    assert margins[near.flips > 0].max() <= margins[near.flips == 0].min()
    margins = np.abs(far.X @ far.w)
    assert margins[far.flips > 0].min() >= margins[far.flips == 0].max()
    assert near.n_mistakes == pytest.approx(1000, abs=SIGMAS * np.sqrt(2500 * 0.24))


def test_excess_error_is_that_of_fresh_rows():
    instance = make_halfspace(10, 3, noise="rcn", rate=0.2, random_state=3)
    w = instance.w + np.array([0.3, -0.1, 0.2])
    fresh = make_halfspace(200_000, 3, noise="rcn", rate=0.2, w=instance.w, random_state=4)
    wrong = (fresh.X @ w >= 0) != (fresh.y > 0)
    planted = (fresh.X @ instance.w >= 0) != (fresh.y > 0)
    difference = wrong.astype(float) - planted
    assert instance.excess_error(w) == pytest.approx(difference.mean(), abs=SIGMAS * difference.std() / np.sqrt(200_000))
    assert instance.excess_error(-instance.w) == pytest.approx(0.6)
    assert instance.excess_error(instance.w) == pytest.approx(0.0, abs=1e-15)
    assert np.isnan(make_halfspace(10, 3, marginal="cube", random_state=0).excess_error(w))


@pytest.mark.parametrize(("marginal", "weight"), [("mixture", 0.9), ("ngca", 0.7), ("ngca", 0.5)])
def test_planted_direction_has_its_fourth_moment_and_all_others_are_gaussian(marginal, weight):
    instance = make_halfspace(100_000, 4, marginal=marginal, weight=weight, random_state=5)
    v = instance.bad_direction
    assert np.mean((instance.X @ v) ** 4) == pytest.approx(3 - 2 * weight**4, abs=SIGMAS * np.sqrt(96 / 100_000))
    across = np.linalg.svd(v[None, :])[2][1:]
    assert np.mean((instance.X @ across[0]) ** 4) == pytest.approx(3, abs=SIGMAS * np.sqrt(96 / 100_000))


def test_hidden_cluster_stops_every_descent_and_not_logistic_regression():
    instance = make_halfspace(20_000, 6, marginal="hidden-cluster", random_state=0)
    assert instance.n_mistakes == mistakes(instance) == 0
    stuck = ramp_path(instance.X, instance.y, sigmas=[0.5, 0.2], starts=["chow", "random"], random_state=0)
    for candidate in stuck:
        assert candidate.n_mistakes / 20_000 == pytest.approx(0.19, abs=0.01)
        assert candidate.gradient_norm <= 1e-5
    regression = LogisticRegression(fit_intercept=False, C=1e6).fit(instance.X, instance.y)
    assert regression.score(instance.X, instance.y) == 1.0
    failed = {test.name for test in gaussian_moment_test(instance.X, calibration="theory") if not test.passed}
    assert {"kurtosis_high", "kurtosis_low"} <= failed


def test_gauss_hermite_passes_the_moments_and_fails_at_the_band():
    instance = make_halfspace(20_000, 4, marginal="gauss-hermite", random_state=1)
    assert instance.n_mistakes == 0
    e1 = np.eye(4)[0]
    assert np.all(ramp_loss(instance.X, instance.y, e1, 0.5).gradient == 0.0)
    assert np.mean((instance.X @ e1 >= 0) != (instance.y > 0)) == pytest.approx(0.207, abs=0.015)
    assert not band_test(instance.X, e1, 0.5)[1].passed


def test_leverage_rows_pull_the_mean_round():
    instance = make_halfspace(2000, 3, noise="agnostic", rate=0.05, adversary="leverage", random_state=0)
    assert instance.n_mistakes == 100
    assert np.mean(instance.y[:, None] * instance.X, axis=0) @ instance.w < 0
    assert not instance.gaussian


def test_every_member_of_the_panel_is_rejected_somewhere_and_the_gaussian_nowhere():
    n, d = 20_000, 5
    panel = must_reject_panel(n, d)
    assert not any(instance.gaussian for instance in panel.values())
    plain = make_halfspace(n, d, random_state=0)
    for name, instance in {**panel, "gaussian": plain}.items():
        moments = gaussian_moment_test(instance.X, n_calibration=79)
        at = instance.bad_direction if name == "gauss-hermite" else instance.w
        passed = all(test.passed for test in (*moments, *band_test(instance.X, at, 0.5)))
        assert passed == (name == "gaussian"), name


def test_same_seed_same_instance():
    one, other = (make_halfspace(50, 3, noise="rcn", rate=0.1, marginal="t", random_state=9) for _ in range(2))
    assert one.X.tobytes() == other.X.tobytes()
    assert one.y.tobytes() == other.y.tobytes()
    X, y, w = one
    assert (X is one.X, y is one.y, w is one.w) == (True, True, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "rcn", "rate": 0.5}, r"rate=0.5 is outside \[0, 0.5\)"),
        ({"noise": "none", "rate": 0.1}, r"rate=0.1 is outside \[0, 0\]"),
        ({"noise": "label"}, "noise='label' is not known"),
        ({"marginal": "cauchy"}, "marginal='cauchy' is not known"),
        ({"adversary": "near"}, "adversary='near' has nothing to choose with noise='none'"),
        ({"noise": "massart", "rate": 0.1, "adversary": "cap"}, "adversary='cap' is not known"),
        ({"marginal": "hidden-cluster", "noise": "rcn", "rate": 0.1}, "has its own labels"),
        ({"marginal": "gauss-hermite", "d": 1}, r"d=1 is outside \[2, inf\)"),
        ({"weight": 1.5}, r"weight=1.5 is outside"),
        ({"w": [0.0, 0.0, 0.0]}, "not all zero"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_halfspace(**{"n": 10, "d": 3, **options})
