"""TestableHalfspace: what is accepted and why, attributes that mean what they say, and messages that name the argument."""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from algos.common.binomial import clopper_pearson
from algos.testable_halfspaces import (
    DistributionRejected,
    DistributionRejectedWarning,
    InfeasibleEps,
    TestableHalfspace,
    _fit_steps,
    agnostic_certificate,
    estimators,
    exact_halfspace_error,
    make_halfspace,
    massart_certificate,
)

ROUNDING = 1e-9  # sums of the same numbers in another order or basis
CHEAP = {"calibration": "theory", "on_reject": "ignore", "random_state": 0}


@pytest.fixture(scope="module")
def plane():
    """10,000 standard Gaussian rows in the plane, one label in ten flipped."""
    return make_halfspace(10_000, 2, noise="rcn", rate=0.1, random_state=0)


@pytest.fixture(scope="module")
def massart(plane):
    return TestableHalfspace("massart", eta=0.1, fit_intercept=False, n_calibration=199, random_state=0).fit(plane.X, plane.y)


@pytest.fixture(scope="module")
def agnostic(plane):
    return TestableHalfspace(fit_intercept=False, **CHEAP).fit(plane.X, plane.y)


# --- what is certified -------------------------------------------------------------------------------------------------------------------


def test_massart_on_the_target_is_accepted_with_a_bound_that_covers_the_true_excess(plane, massart):
    assert massart.accepted_
    assert all(test.passed for test in massart.tests_)
    assert massart.direction_ is None
    assert plane.excess_error(massart.coef_[0]) <= massart.eps_hat_ < 0.05
    assert massart.guarantee_.value == massart.eps_hat_
    assert np.isnan(massart.opt_lower_)
    assert 0.1 < massart.eta_breakdown_ < 0.5


def test_the_certificate_is_about_the_rows_that_did_not_learn(plane, massart):
    certifying = massart.fold_ids_ == 1
    assert np.count_nonzero(certifying) == 5000
    assert massart.certificate_.verify(plane.X[certifying], plane.y[certifying])
    report = massart.certificate_.verify(plane.X[~certifying], plane.y[~certifying])
    assert report.failures == ("the rows or labels are not those that were certified, or are in another order",)
    alone = massart_certificate(
        plane.X[certifying], plane.y[certifying], massart.coef_[0], massart.band_width_, 0.1, n_candidates=massart.certificate_.n_candidates
    )
    assert massart.certificate_.n_candidates == np.count_nonzero(massart.candidates_["certified"]) == 2
    assert alone.eps_hat == pytest.approx(massart.eps_hat_, rel=ROUNDING)


def test_breakdown_is_an_eta_for_which_a_certificate_exists(plane, massart):
    certifying = massart.fold_ids_ == 1
    X, y, K = plane.X[certifying], plane.y[certifying], massart.certificate_.n_candidates
    at = massart_certificate(X, y, massart.coef_[0], massart.band_width_, massart.eta_breakdown_, n_candidates=K)
    assert not at.vacuous
    beyond = massart_certificate(X, y, massart.coef_[0], massart.band_width_, min(1.3 * massart.eta_breakdown_, 0.49), n_candidates=K)
    assert beyond.vacuous or beyond.eps_hat > 0.8 * min(massart.error_upper_, 0.5)


def test_agnostic_bound_holds_for_the_best_halfspace_of_the_rows(plane, agnostic):
    best = exact_halfspace_error(plane.X, plane.y)
    certificate = agnostic.certificate_
    assert 0 < certificate.optimum <= best.n_mistakes
    assert certificate.verify(plane.X, plane.y)
    assert agnostic.opt_lower_ == clopper_pearson(certificate.optimum, 10_000, 0.975, "lower")
    held_out = agnostic.fold_ids_ == 1
    wrong = np.count_nonzero(agnostic.predict(plane.X[held_out]) != plane.y[held_out])
    assert agnostic.error_upper_ == clopper_pearson(wrong, 5000, 0.975, "upper")
    assert agnostic.eps_hat_ == agnostic.error_upper_ - agnostic.opt_lower_
    assert np.isnan(agnostic.eta_breakdown_)


def test_agnostic_search_from_a_guess_finds_what_the_function_finds(plane, agnostic):
    w = agnostic.certificate_.w
    alone = agnostic_certificate(plane.X, plane.y, w, agnostic.band_width_)
    assert agnostic.certificate_.optimum == pytest.approx(alone.optimum, rel=0.02)  # two searches on grids of a per cent


@pytest.mark.parametrize("noise", ["massart", "agnostic"])
def test_intercept_and_whitening_are_undone_in_the_users_columns(noise):
    rng = np.random.default_rng(0)
    mix, shift = np.array([[2.0, 0.0], [1.0, 0.3]]), np.array([5.0, -3.0])
    X, y, _ = make_halfspace(20_000, 2, noise="rcn", rate=0.05, random_state=rng)
    X = X @ mix + shift
    model = TestableHalfspace(
        noise, eta=0.05 if noise == "massart" else None, target_transform="whiten", n_calibration=79, random_state=0
    ).fit(X, y)
    assert model.accepted_
    np.testing.assert_array_equal(model.predict(X), np.where(X @ model.coef_[0] + model.intercept_[0] >= 0, 1.0, -1.0))
    rows = model.fold_ids_ == 1 if noise == "massart" else slice(None)
    assert model.certificate_.verify(X[rows], y[rows])
    assert model.certificate_.lift
    normal = np.append(model.coef_[0], model.intercept_[0])
    if noise == "massart":
        np.testing.assert_allclose(model.certificate_.w, normal / np.linalg.norm(normal), atol=ROUNDING)
    assert abs(model.project(X, np.array([1.0, 0.0])).std() - 1.0) < 0.02


def test_without_intercept_a_transform_leaves_halfspaces_homogeneous():
    X, y, _ = make_halfspace(2000, 2, random_state=0)
    model = TestableHalfspace(fit_intercept=False, target_transform="whiten", **CHEAP).fit(X @ [[3.0, 1.0], [0.0, 1.0]], y)
    assert model.intercept_ == 0.0
    assert not model.certificate_.lift


def test_the_same_seed_gives_the_same_fit_whatever_the_threads(plane):
    X, y = plane.X[:1000], plane.y[:1000]
    first, second = (TestableHalfspace(n_calibration=79, on_reject="ignore", random_state=3, n_jobs=jobs).fit(X, y) for jobs in (1, 2))
    assert np.array_equal(first.coef_, second.coef_)
    assert [test.statistic for test in first.tests_] == [test.statistic for test in second.tests_]
    assert [test.high for test in first.tests_] == [test.high for test in second.tests_]
    assert first.certificate_.to_json() == second.certificate_.to_json()


def test_rotated_rows_give_the_rotated_halfspace(plane):
    X, y = plane.X[:4000], plane.y[:4000]
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((2, 2)))[0]
    plain, rotated = (
        TestableHalfspace("massart", eta=0.1, fit_intercept=False, sigmas=[0.5, 0.25], n_restarts=0, **CHEAP).fit(rows, y)
        for rows in (X, X @ turn)
    )
    np.testing.assert_allclose(rotated.coef_, plain.coef_ @ turn, atol=1e-6)  # descents end at a gradient of 1e-5
    assert rotated.eps_hat_ == pytest.approx(plain.eps_hat_, rel=1e-3)


def test_exchanged_labels_give_the_reversed_halfspace(plane):
    X, y = plane.X[:4000], plane.y[:4000]
    plain, turned = (
        TestableHalfspace("massart", eta=0.1, fit_intercept=False, sigmas=[0.5], n_restarts=0, **CHEAP).fit(X, labels) for labels in (y, -y)
    )
    np.testing.assert_allclose(turned.coef_, -plain.coef_, atol=1e-6)
    assert turned.eps_hat_ == pytest.approx(plain.eps_hat_, rel=ROUNDING)


@pytest.mark.parametrize("solver", ["rgd", "psgd"])
@pytest.mark.parametrize("certificate", ["auto", "quartic", "norm", "sos"])
def test_every_solver_and_certificate_is_sound(plane, solver, certificate):
    X, y = plane.X[:4000], plane.y[:4000]
    model = TestableHalfspace(
        "massart", eta=0.1, fit_intercept=False, solver=solver, certificate=certificate, marginal=None, **CHEAP, sigmas=[0.5, 0.2]
    ).fit(X, y)
    assert plane.excess_error(model.coef_[0]) <= model.eps_hat_
    rows = model.fold_ids_ == 1
    assert model.certificate_.verify(X[rows], y[rows])
    assert model.tests_ == []


# --- acceptance --------------------------------------------------------------------------------------------------------------------------


def test_a_rejected_marginal_is_named_with_its_direction_and_still_predicts():
    instance = make_halfspace(4000, 5, marginal="mixture", weight=0.95, noise="rcn", rate=0.05, random_state=0)
    with pytest.warns(DistributionRejectedWarning, match=r"kurtosis_low = .* is outside"):
        model = TestableHalfspace(fit_intercept=False, n_calibration=79, random_state=0).fit(instance.X, instance.y)
    assert not model.accepted_
    assert abs(model.direction_ @ instance.bad_direction) > 0.99
    with pytest.warns(DistributionRejectedWarning, match="kurtosis_low"):
        predicted = model.predict(instance.X)
    np.testing.assert_array_equal(model.predict(instance.X), predicted)  # the second call is silent
    assert np.mean(predicted == instance.y) > 0.9
    assert "tests of the marginal failed" in model.explain()


def test_on_reject_raise_sets_all_attributes_first():
    X, y, _ = make_halfspace(2000, 3, marginal="cube", random_state=0)
    model = TestableHalfspace(on_reject="raise", n_calibration=79, random_state=0)
    with pytest.raises(DistributionRejected, match="is outside") as caught:
        model.fit(X, y)
    assert [test.name for test in caught.value.tests] == model.tests_table()["name"].tolist()
    assert model.predict(X).shape == (2000,)


@pytest.mark.slow
def test_thresholds_come_from_the_target_that_was_asked_for():
    X, y, _ = make_halfspace(1500, 2, marginal="laplace", noise="rcn", rate=0.05, random_state=0)
    options = {"fit_intercept": False, "n_calibration": 79, "on_reject": "ignore", "random_state": 0}
    gaussian = TestableHalfspace(**options).fit(X, y)
    panel = TestableHalfspace(marginal="isotropic-logconcave", **options).fit(X, y)
    failed = {test.name for test in gaussian.tests_ if not test.passed}
    assert "kurtosis_high" in failed
    assert all(test.passed for test in panel.tests_)
    assert panel.calibration_.marginal == "isotropic-logconcave"


def test_a_certificate_that_is_not_good_enough_is_said(plane):
    X, y = plane.X[:400], plane.y[:400]
    with pytest.warns(UserWarning, match="the halfspace is not accepted: "):
        model = TestableHalfspace(marginal=None, random_state=0).fit(X, y)
    assert not model.accepted_
    assert model.guarantee_.kind == "none"
    assert model.guarantee_.reason == model.certificate_.reason


def test_eps_factor_and_force_decide_acceptance(plane, massart, agnostic):
    X, y = plane.X, plane.y
    options = {"eta": 0.1, "fit_intercept": False, **CHEAP}
    assert TestableHalfspace("massart", eps=1.001 * massart.eps_hat_, **options).fit(X, y).accepted_
    assert not TestableHalfspace("massart", eps=0.9 * massart.eps_hat_, **options).fit(X, y).accepted_
    ratio = agnostic.error_upper_ / agnostic.opt_lower_
    assert TestableHalfspace(factor=1.001 * ratio, fit_intercept=False, **CHEAP).fit(X, y).accepted_
    assert not TestableHalfspace(factor=0.999 * ratio, fit_intercept=False, **CHEAP).fit(X, y).accepted_
    assert TestableHalfspace(eps=1.001 * agnostic.error_upper_, factor=1.0, fit_intercept=False, **CHEAP).fit(X, y).accepted_


def test_an_eps_out_of_reach_is_refused_and_can_be_forced(plane):
    X, y = plane.X[:2000], plane.y[:2000]
    options = {"eta": 0.1, "fit_intercept": False, "marginal": None, "on_reject": "ignore", "random_state": 0}
    with pytest.raises(InfeasibleEps, match=r"eps=0.001 cannot be certified: 1000 certifying rows"):
        TestableHalfspace("massart", eps=0.001, **options).fit(X, y)  # no table of this size could
    assert not TestableHalfspace("massart", eps=0.001, force=True, **options).fit(X, y).accepted_


def test_eps_is_compared_with_what_gaussian_rows_allow(plane, monkeypatch):
    from algos.testable_halfspaces import _verdict

    asked = []

    def simulated(n, d, eta, **options):
        asked.append((n, d, eta, options["level"], options["fit_intercept"], options["target_transform"]))
        return 0.4

    monkeypatch.setattr(_verdict, "minimal_eps", simulated)
    X, y = plane.X[:400], plane.y[:400]
    options = {"eta": 0.1, "on_reject": "ignore", "n_calibration": 79, "random_state": 0}
    with pytest.raises(InfeasibleEps, match=r"400 Gaussian rows with d=2, eta=0.1 give 0.4"):
        TestableHalfspace("massart", eps=0.02, **options).fit(X, y)
    model = TestableHalfspace("massart", eps="auto", target_transform="whiten", **options).fit(X, y)
    assert model.eps_ == 0.4
    assert asked == [(400, 2, 0.1, 0.025, True, None), (400, 2, 0.1, 0.025, True, "whiten")]


# --- certify, transfer -------------------------------------------------------------------------------------------------------------------


def test_certify_takes_somebody_elses_classifier(plane):
    names = np.where(plane.y > 0, "yes", "no")
    other = LogisticRegression(fit_intercept=False).fit(plane.X, names)
    certificate = TestableHalfspace().certify(plane.X, names, other)  # nothing is fitted
    assert certificate.classes == ("no", "yes")
    assert certificate.mistakes == np.count_nonzero(other.predict(plane.X) != names)
    assert 0 < certificate.optimum <= exact_halfspace_error(plane.X, plane.y).n_mistakes
    assert certificate.verify(plane.X, names)
    bounded = TestableHalfspace("massart", eta=0.1).certify(plane.X[5000:], names[5000:], [1.0, 0.0])
    assert bounded.kind == "massart"


def test_certify_defaults_to_the_fitted_halfspace(plane, massart):
    fresh = make_halfspace(10_000, 2, noise="rcn", rate=0.1, random_state=5)
    X, y = fresh.X @ np.linalg.qr(np.column_stack([fresh.w, plane.w]))[0], fresh.y  # any rows will do
    certificate = massart.certify(X, y)
    np.testing.assert_allclose(certificate.w, massart.coef_[0], atol=ROUNDING)
    assert certificate.classes == (-1.0, 1.0)


def test_transfer_uses_the_certificate(plane, massart, agnostic):
    normal = massart.coef_[0]
    far, near = plane.X[:500] + 5.0 * normal, plane.X[:500] - np.outer(plane.X[:500] @ normal, normal)
    assert massart.shift_bound(far).value < 0.05 < 0.9 < massart.shift_bound(near).value
    assert massart.predict_mask(far).all()
    assert not massart.predict_mask(near).any()
    with pytest.raises(ValueError, match="agnostic"):
        agnostic.shift_bound(far)
    with pytest.raises(ValueError, match="agnostic"):
        agnostic.predict_mask(far)


# --- data of all kinds -------------------------------------------------------------------------------------------------------------------


def test_a_memory_mapped_table_gives_the_same_fit_without_a_copy(tmp_path, plane, monkeypatch):
    from algos.testable_halfspaces import _fit_steps
    from algos.testable_halfspaces._target_map import TargetMap

    np.save(tmp_path / "X.npy", plane.X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    options = {"target_transform": "standardize", "sigmas": [0.7, 0.35], **CHEAP}
    in_memory = TestableHalfspace(**options).fit(plane.X, plane.y)
    sources, pick, read = [], _fit_steps.chosen_rows, TargetMap.rows
    monkeypatch.setattr(_fit_steps, "chosen_rows", lambda *a, **k: sources.append(pick(*a, **k)) or sources[-1])
    monkeypatch.setattr(TargetMap, "rows", lambda *a, **k: sources.append(read(*a, **k)) or sources[-1])
    on_disk = TestableHalfspace(**options).fit(mapped, plane.y)
    assert len(sources) >= 4
    assert all(source._table is None or np.shares_memory(source._table, mapped) for source in sources)
    np.testing.assert_allclose(on_disk.coef_, in_memory.coef_, atol=1e-7)
    assert on_disk.certificate_.optimum == in_memory.certificate_.optimum
    assert on_disk.certificate_.verify(mapped, plane.y)


def test_float32_and_frames(plane):
    X, y = plane.X[:4000].astype(np.float32), plane.y[:4000]
    single = TestableHalfspace(**CHEAP).fit(X, y)
    double = TestableHalfspace(**CHEAP).fit(X.astype(np.float64), y)
    np.testing.assert_allclose(single.coef_, double.coef_, atol=1e-4)
    assert single.certificate_.verify(X, y)
    frame = pd.DataFrame(X.astype(np.float64), columns=["height", "age"])
    framed = TestableHalfspace(**CHEAP).fit(frame, y)
    assert framed.feature_names_in_.tolist() == ["height", "age"]
    assert np.array_equal(framed.coef_, double.coef_)
    assert np.array_equal(framed.predict(frame), double.predict(frame.to_numpy()))
    certificate = framed.certify(frame, y)
    assert certificate.n == 4000


def test_copies_behave_alike(massart, plane):
    again = pickle.loads(pickle.dumps(massart))
    assert np.array_equal(again.predict(plane.X), massart.predict(plane.X))
    assert again.certificate_.to_json() == massart.certificate_.to_json()
    assert clone(massart).get_params() == massart.get_params()


def test_one_column(plane):
    X = plane.X[:, :1]
    y = np.where(X[:, 0] > 0, 1, 0) ^ (np.arange(len(X)) % 10 == 0)
    for noise, eta, value in (("massart", 0.1, 0.0), ("agnostic", None, None)):
        model = TestableHalfspace(noise, eta=eta, fit_intercept=False, n_calibration=79, random_state=0).fit(X, y)
        assert model.accepted_
        if value is not None:
            assert model.eps_hat_ == value  # the only rival is the reverse
        else:
            mistakes = np.count_nonzero(model.predict(X) != y)
            assert model.certificate_.optimum == mistakes == 1000
    assert TestableHalfspace(**CHEAP).fit(X, y).score(X, y) > 0.89


def test_fewer_rows_than_columns_predict_and_certify_nothing():
    X, y, _ = make_halfspace(20, 30, random_state=0)
    model = TestableHalfspace(**CHEAP).fit(X, y)
    assert model.score(X, y) > 0.5
    assert model.certificate_.vacuous
    assert not model.accepted_
    with pytest.raises(ValueError, match=r"target_transform='whiten' with 10 learning rows and 30 columns: .*give more rows"):
        TestableHalfspace(target_transform="whiten", **CHEAP).fit(X, y)


def test_dependent_columns_are_left_out_and_the_rest_is_certified_as_without_them(plane):
    X, y = plane.X[:4000], plane.y[:4000]
    padded = np.column_stack([X[:, 0], np.full(4000, 3.0), X[:, 0], X[:, 1], X @ [1.0, -2.0]])
    plain = TestableHalfspace("massart", eta=0.1, **CHEAP).fit(X, y)
    with pytest.warns(UserWarning, match=r"3 column\(s\) of X are constant or depend on others: 1, 2, 4; they are left out"):
        model = TestableHalfspace("massart", eta=0.1, **CHEAP).fit(padded, y)
    assert model.columns_.tolist() == [True, False, False, True, False]
    np.testing.assert_allclose(model.coef_[0, [0, 3]], plain.coef_[0], atol=ROUNDING)
    assert not model.coef_[0, [1, 2, 4]].any()
    assert model.eps_hat_ == pytest.approx(plain.eps_hat_, rel=ROUNDING)
    rows = model.fold_ids_ == 1
    assert model.certificate_.verify(padded[rows][:, model.columns_], y[rows])
    assert np.array_equal(model.predict_mask(padded), plain.predict_mask(X))
    frame = pd.DataFrame(padded, columns=list("abcde"))
    with pytest.warns(UserWarning, match=r"depend on others: b, c, e;"):
        TestableHalfspace(**CHEAP).fit(frame, y)


def test_rows_of_zeros_and_a_table_of_zeros(plane):
    X, y = plane.X[:4000].copy(), plane.y[:4000]
    X[:400] = 0.0
    model = TestableHalfspace(fit_intercept=False, **CHEAP).fit(X, y)
    assert model.certificate_.verify(X, y)
    assert model.certificate_.optimum <= exact_halfspace_error(X, y).n_mistakes
    nothing = TestableHalfspace(**CHEAP).fit(np.zeros((40, 2)), np.arange(40) % 2)
    assert nothing.certificate_.vacuous


def test_an_empty_band_is_rejected_and_certifies_nothing():
    instance = make_halfspace(4000, 3, marginal="gauss-hermite", w=[1.0, 0.0, 0.0], random_state=0)
    model = TestableHalfspace(fit_intercept=False, sigmas=[0.5], n_calibration=79, on_reject="ignore", random_state=0)
    model.fit(instance.X, instance.y)
    failed = {test.name for test in model.tests_ if not test.passed}
    assert {"band_mass_inner", "band_mass_outer"} <= failed
    assert not model.accepted_


def test_all_rows_in_the_band_is_valid(plane):
    X, y = 1e-3 * plane.X[:4000], plane.y[:4000]
    model = TestableHalfspace("massart", eta=0.1, fit_intercept=False, sigmas=[1.0], **CHEAP).fit(X, y)
    rows = model.fold_ids_ == 1
    assert model.certificate_.n_band == 2000
    assert model.certificate_.verify(X[rows], y[rows])
    assert plane.excess_error(model.coef_[0]) <= model.eps_hat_


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_tiny_and_huge_rows_are_learned_in_their_own_unit(plane, scale):
    X, y = plane.X[:1000], plane.y[:1000]
    model = TestableHalfspace(fit_intercept=False, target_transform="standardize", marginal=None, **CHEAP).fit(scale * X, y)
    plain = TestableHalfspace(fit_intercept=False, target_transform="standardize", marginal=None, **CHEAP).fit(X, y)
    assert np.array_equal(model.predict(scale * X), plain.predict(X))


def test_verbose_names_the_steps_and_the_verdict(plane, capsys):
    TestableHalfspace(verbose=1, **CHEAP).fit(plane.X[:200], plane.y[:200])
    printed = capsys.readouterr().out
    for word in ("learn: ", "choose: ", "certify: ", "test: ", "calibrate: ", "ccepted."):
        assert word in printed


# --- bad input ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "massart"}, r"eta is missing: noise='massart' needs a bound"),
        ({"noise": "massart", "eta": 0.5}, r"eta=0.5 is outside \[0, 0.5\)"),
        ({"noise": "massart", "eta": -0.1}, r"eta=-0.1 is outside \[0, 0.5\)"),
        ({"noise": "massart", "eta": float("nan")}, r"eta=nan is outside"),
        ({"eta": 0.1}, r"eta=0.1 with noise='agnostic', which assumes no flip probability"),
        ({"noise": "rcn"}, r"noise='rcn' is not known; choose one of 'agnostic', 'massart'"),
        ({"eps": 0.0}, r"eps=0.0 is outside \(0, inf\)"),
        ({"eps": -1.0}, r"eps=-1.0 is outside"),
        ({"eps": "best"}, r"eps='best' is not known"),
        ({"eps": "auto"}, r"eps='auto' is simulated for noise='massart' only"),
        ({"delta": 1.0}, r"delta=1.0 is outside \(0, 1\)"),
        ({"delta_complete": 0.0}, r"delta_complete=0.0 is outside"),
        ({"factor": 0.5}, r"factor=0.5 is outside \[1, inf\)"),
        ({"marginal": "t"}, r"marginal='t' is not known"),
        ({"target_transform": "pca"}, r"target_transform='pca' is not known"),
        ({"sigmas": []}, r"sigmas is empty"),
        ({"sigmas": [0.1, 0.0]}, r"sigmas=0.0 is outside"),
        ({"sigmas": "wide"}, r"sigmas='wide' is not known"),
        ({"solver": "sgd"}, r"solver='sgd' is not known"),
        ({"learn_fraction": 1.0}, r"learn_fraction=1.0 is outside \(0, 1\)"),
        ({"certificate": "cubic"}, r"certificate='cubic' is not known"),
        ({"certificate": "quartic", "max_quartic_dim": 2}, r"certificate='quartic' with 3 columns .*max_quartic_dim=2"),
        ({"max_quartic_dim": 61}, r"max_quartic_dim=61 is outside \[1, 60\]"),
        ({"calibration": "guess"}, r"calibration='guess' is not known"),
        ({"n_calibration": 20}, r"n_calibration gives 10 ranked tables, level=0.025 needs 39"),
        ({"calibration_guarantee": "none"}, r"calibration_guarantee='none' is not known"),
        ({"calibration_guarantee": "tolerance"}, r"confidence=0.99 at level=0.025 needs 182; give n_calibration=364"),
        ({"on_reject": "stop"}, r"on_reject='stop' is not known"),
    ],
)
def test_parameters_are_refused_by_name(plane, options, message):
    with pytest.raises(ValueError, match=message):
        TestableHalfspace(**options).fit(plane.X[:100], plane.y[:100])


def test_too_few_simulations_are_refused_before_anything_is_learned(plane, monkeypatch):
    monkeypatch.setattr(estimators, "learn", None)
    with pytest.raises(ValueError, match="n_calibration gives 10 ranked tables"):
        TestableHalfspace(n_calibration=20).fit(plane.X[:100], plane.y[:100])


def test_a_descent_that_was_cut_short_is_said_in_the_table_and_not_by_a_warning(monkeypatch):
    """The estimator has no `max_iter` to raise, and its certificate measures the gradient that is left."""
    X, y, _ = make_halfspace(400, 3, noise="rcn", rate=0.1, random_state=0)
    monkeypatch.setattr(_fit_steps, "ramp_path", functools.partial(_fit_steps.ramp_path, max_iter=1))
    model = TestableHalfspace(**CHEAP).fit(X, y)  # warnings are errors here
    assert "max_iter" in model.candidates_["status"]


def test_columns_of_any_unit_are_kept():
    X, y, _ = make_halfspace(400, 3, noise="rcn", rate=0.1, random_state=0)
    model = TestableHalfspace(target_transform="standardize", marginal=None, **CHEAP).fit(1e-150 * X, y)
    assert model.columns_.all()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((20, 2)), np.zeros(20), r"y has 1 class, 0.0; a halfspace separates 2"),
        (np.ones((21, 2)), np.arange(21) % 3, r"Only binary classification is supported.*3 classes.*OneVsRestClassifier"),
        (np.ones((20, 2)) * np.nan, np.arange(20) % 2, "Input X contains NaN"),
        (np.ones((20, 2)) * np.inf, np.arange(20) % 2, "Input X contains infinity"),
        (np.ones((7, 2)), np.arange(7) % 2, r"n_samples=7 rows, at least 8 are needed"),
        (np.ones((0, 2)), np.ones(0), r"0 sample\(s\)"),
        (np.ones((20, 2)), np.linspace(0, 1, 20), "Unknown label type: continuous"),
        (1e200 * np.arange(40.0).reshape(20, 2), np.arange(20) % 2, "overflow"),
    ],
)
def test_bad_data_is_refused_by_message(X, y, message):
    with pytest.raises(ValueError, match=message):
        TestableHalfspace(**CHEAP).fit(X, y)


def test_sums_of_squares_are_for_few_columns():
    with pytest.raises(ValueError, match=r"certificate='sos' with 9 columns \(an intercept counts\): the limit is 8"):
        TestableHalfspace(certificate="sos", **CHEAP).fit(np.ones((20, 8)), np.arange(20) % 2)


def test_there_are_no_sample_weights_and_no_sparse_tables(plane):
    import scipy.sparse

    with pytest.raises(TypeError, match="sample_weight"):
        TestableHalfspace().fit(plane.X[:100], plane.y[:100], sample_weight=np.ones(100))
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        TestableHalfspace().fit(scipy.sparse.csr_array(plane.X[:100]), plane.y[:100])
    assert not hasattr(TestableHalfspace(), "predict_proba")


def test_three_classes_by_one_against_the_rest():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2))
    y = np.argmax(X @ np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]), axis=1)
    model = OneVsRestClassifier(TestableHalfspace(marginal=None, **CHEAP)).fit(X, y)
    assert model.score(X, y) > 0.8


def test_projection_of_another_length_is_refused(massart, plane):
    with pytest.raises(ValueError, match=r"direction has shape \(3,\), X has 2 columns"):
        massart.project(plane.X, np.ones(3))
