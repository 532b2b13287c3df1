"""Certificates: never above the exact optimum, coverage over label draws, verification, tampering, storage, any linear classifier."""

import json
import math
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from algos.testable_halfspaces import (
    HalfspaceCertificate,
    _search,
    agnostic_certificate,
    bounds,
    certify,
    exact_halfspace_error,
    massart_certificate,
)
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._search import Search

SAME = 1e-8  # an angle found by bisection moves by as much when the basis changes

MARGINALS = {
    "gaussian": lambda n, d, rng: rng.standard_normal((n, d)),
    "t1.5": lambda n, d, rng: rng.standard_t(1.5, (n, d)),
    "t3": lambda n, d, rng: rng.standard_t(3, (n, d)),
    "laplace": lambda n, d, rng: rng.laplace(size=(n, d)),
    "cube": lambda n, d, rng: rng.choice([-1.0, 1.0], (n, d)),
    "lattice": lambda n, d, rng: rng.integers(-3, 4, (n, d)).astype(float),
    "ring": lambda n, d, rng: (lambda G: G / np.linalg.norm(G, axis=1)[:, None])(rng.standard_normal((n, d))),
    "mixture": lambda n, d, rng: rng.choice([0.1, 1.0], (n, 1)) * rng.standard_normal((n, d)) + rng.choice([0.0, 1.0], (n, 1)),
    "line": lambda n, d, rng: np.column_stack([rng.choice([-0.01, 0.01, 1.0], n), rng.standard_normal((n, d - 1))]),
    "gauss-hermite": lambda n, d, rng: np.column_stack(
        [
            rng.choice([-2.334414, -0.741964, 0.741964, 2.334414], n, p=[0.045876, 0.454124, 0.454124, 0.045876]),
            rng.standard_normal((n, d - 1)),
        ]
    ),
}


def adversary(X, w, rng):
    """Labels of w with up to a quarter flipped: the nearest, the farthest, random ones, or those of a second halfspace."""
    n = len(X)
    t = np.abs(X @ w)
    m = int(rng.integers(0, n // 4 + 1))
    flipped = {
        0: np.argsort(t)[:m],
        1: np.argsort(-t)[:m],
        2: rng.choice(n, m, replace=False),
        3: np.flatnonzero((X @ (w + 0.3 * rng.standard_normal(len(w))) >= 0) != (X @ w >= 0)),
    }[int(rng.integers(4))]
    y = np.where(X @ w >= 0, 1, -1)
    y[flipped] *= -1
    return y


def noisy(n=20_000, d=3, eta=0.1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, np.where((X[:, 0] > 0) ^ (rng.random(n) < eta), 1, -1)


# -- soundness against exact oracles ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("marginal", MARGINALS)
@pytest.mark.parametrize("d", [2, 3])
def test_no_halfspace_makes_fewer_mistakes_than_certified(marginal, d):
    rng = np.random.default_rng(d)
    proved = 0
    for trial in range(24 if d == 2 else 7):
        n = int(rng.choice([8, 40, 300] if d == 2 else [12, 60, 150]))
        X = MARGINALS[marginal](n, d, rng)
        w = rng.standard_normal(d)
        y = adversary(X, w, rng)
        if trial % 6 == 0:
            X, y = np.repeat(X, 2, axis=0), np.repeat(y, 2)
        w = (w + rng.choice([0.0, 0.02, 0.3]) * rng.standard_normal(d)) * rng.choice([-1.0, 1.0], p=[0.2, 0.8])
        if len(np.unique(y)) < 2:
            continue
        certificate = certify(X, y, w, transform=None if trial % 2 else "whiten")
        report = certificate.verify(X, y)
        assert report, report.failures
        optimum = exact_halfspace_error(X, y).n_mistakes
        assert certificate.optimum <= optimum, trial
        assert certificate.opt_lower <= certificate.o_low
        proved += certificate.optimum > 0
    assert proved or d == 3 or marginal == "cube"  # the claim has content


def test_no_climber_finds_a_violation():
    """Change rows, labels and w a little, keep what raises certified over optimal mistakes."""
    rng = np.random.default_rng(5)
    best_ratio = 0.0
    for start in ("gauss-hermite", "gaussian", "ring"):
        X = MARGINALS[start](60, 2, rng)
        w = np.array([1.0, 0.1])
        y, ratio = adversary(X, w, rng), 0.0
        for _ in range(40):
            Xn, yn, wn = X.copy(), y.copy(), w + 0.03 * rng.standard_normal(2)
            some = rng.integers(60, size=3)
            if rng.random() < 0.5:
                yn[some] *= -1
            Xn[some] += 0.3 * rng.standard_normal((3, 2))
            certificate, optimum = certify(Xn, yn, wn, transform=None), exact_halfspace_error(Xn, yn).n_mistakes
            assert certificate.optimum <= optimum
            if optimum and certificate.optimum / optimum >= ratio:
                X, y, w, ratio = Xn, yn, wn, certificate.optimum / optimum
        best_ratio = max(best_ratio, ratio)
    assert best_ratio > 0.1


def test_reversed_halfspace_proves_as_much():
    X, y = noisy(n=3000, d=2)
    forward, backward = (certify(X, y, [sign, 0.0]) for sign in (1.0, -1.0))
    assert forward.optimum == backward.optimum > 0
    assert backward.mistakes == 3000 - forward.mistakes
    # the reverse must be counted: on these two clusters w errs on all rows, and its reverse on none
    X = np.column_stack([np.r_[np.ones(50), -np.ones(50)], np.random.default_rng(0).standard_normal(100)])
    y = np.r_[-np.ones(50), np.ones(50)]
    certificate = certify(X, y, [1.0, 0.0])
    assert certificate.vacuous
    assert "reverse" in certificate.reason


def test_rows_on_the_hyperplane_prove_nothing():
    X = np.array([[0.0, 1.0], [0.0, -1.0], [1.0, 0.0], [-1.0, 0.0]] * 10)
    y = np.array([-1, -1, 1, -1] * 10)  # sign(0) = +1 makes w wrong on half of the rows
    certificate = certify(X, y, [1.0, 0.0])
    assert certificate.mistakes == 20
    assert certificate.sure_mistakes == 0
    assert certificate.optimum == 0
    assert exact_halfspace_error(X, y).n_mistakes >= certificate.optimum


# -- soundness over label draws ---------------------------------------------------------------------------------------------------------


def tight_rows(n=1000, theta=0.25, seed=0):
    """Rows in the plane on which the lower bound on the push is nearly attained; w = e1, the truth at angle theta."""
    rng = np.random.default_rng(seed)
    sigma = 0.5
    t = rng.uniform(0.0, sigma / 2, n) * rng.choice([-1.0, 1.0], n)
    c = np.abs(t) / math.tan(theta)
    inside = rng.random(n) < 0.6
    u = np.where(inside, -c * rng.random(n), rng.choice([-1.0, 1.0], n) * (c + rng.random(n)))
    X = np.column_stack([t, np.where(t >= 0, u, -u)])
    truth = np.where(X @ [math.cos(theta), math.sin(theta)] >= 0, 1.0, -1.0)
    return X, truth, inside, sigma, theta


def test_true_angle_is_excluded_no_more_often_than_allowed_and_the_deviation_is_needed():
    eta, delta, draws = 0.3, 0.05, 4000
    without = []
    for seed in range(3):
        X, truth, inside, sigma, theta = tight_rows(seed=seed)
        search = Search.of(View.of(X, [1.0, 0.0]), truth, sigma)
        rng = np.random.default_rng(100 + seed)
        y = truth * np.where((rng.random((draws, len(X))) < eta) & ~inside, -1.0, 1.0)
        psi = bounds.ramp_density(margin=X[:, 0], sigma=sigma)
        gradient = np.abs(y @ (psi * X[:, 1])) / len(X) / search.statistics.scale
        lowest = search.push(math.tan(theta), 1 - 2 * eta).value
        deviation = bounds.gradient_deviation(
            second=search.statistics.N2,
            largest=2 * search.statistics.largest,
            log_term=math.log(1 / delta),
            n=len(X),
            advantage=1 - 2 * eta,
        )
        assert np.mean(lowest > gradient + deviation) <= delta
        assert lowest <= np.mean((1 - 2 * eta * ~inside) * truth * psi * X[:, 1]) / search.statistics.scale  # the mean push
        without.append(np.mean(lowest > gradient))
    assert max(without) > 0.2


@pytest.mark.parametrize("noise", ["rcn", "one side", "wedge", "near"])
def test_excess_error_is_below_the_bound(noise):
    rng = np.random.default_rng(3)
    eta, d, n = 0.2, 3, 4000
    certified = []
    for _ in range(12):
        X = rng.standard_normal((n, d))
        w = np.r_[1.0, 0.05 * rng.standard_normal(d - 1)]  # chosen without the rows; the truth is e1
        rate = {
            "rcn": np.full(n, eta),
            "one side": eta * (X[:, 1] > 0),
            "wedge": eta * ((X[:, 0] > 0) != (X @ [0.7, 0.7, 0.0] > 0)),
            "near": eta * (np.abs(X[:, 0]) < 0.3),
        }[noise]
        y = np.where((X[:, 0] > 0) ^ (rng.random(n) < rate), 1, -1)
        certificate = massart_certificate(X, y, w, sigma=0.4, eta=eta)
        angle = math.acos(w[0] / np.linalg.norm(w))
        assert certificate.eps_hat >= angle / math.pi  # what the two differ by under the Gaussian, at least the excess
        assert math.tan(angle) <= certificate.tau
        assert certificate.verify(X, y)
        certified.append(certificate.eps_hat)
    assert min(certified) < 0.3


def test_massart_bound_is_as_good_as_the_theory_says():
    X, y = noisy(n=100_000, d=5, eta=0.1)
    certificate = massart_certificate(X, y, np.eye(5)[0], sigma=0.15, eta=0.1)
    assert not certificate.vacuous
    assert certificate.eps_hat < 0.07
    limit = bounds.gaussian_excluded_angle(advantage=0.8) * 0.15  # without noise, for infinitely many rows
    assert limit < certificate.tau < 2.5 * limit
    assert certificate.guarantee.value == certificate.eps_hat
    assert len(certificate.guarantee.premises) == 3


def test_agnostic_bound_is_as_good_as_the_theory_says():
    X, y = noisy(n=100_000, d=2, eta=0.03)
    certificate = certify(X, y, [1.0, 0.0])
    assert 5 < certificate.mistakes / certificate.optimum < 14
    assert certificate.guarantee.value == certificate.o_low
    assert certificate.guarantee.premises == ()


def test_reversed_halfspace_is_refused_under_bounded_noise():
    X, y = noisy()
    certificate = massart_certificate(X, y, [-1.0, 0.0, 0.0], sigma=0.3, eta=0.1)
    assert certificate.vacuous
    assert not certificate.confined
    assert "reverse" in certificate.reason
    assert certificate.verify(X, y)


# -- verification -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def massart():
    X, y = noisy(n=40_000, d=4)
    return X, y, massart_certificate(X, y, [1.0, 0.005, 0.0, 0.0], sigma=0.2, eta=0.1, etas=[0.0, 0.1, 0.2])


@pytest.fixture(scope="module")
def agnostic():
    X, y = noisy(n=40_000, d=4)
    return X, y, agnostic_certificate(X, y, [1.0, 0.005, 0.0, 0.0], sigma=0.2)


def rotated(w, angle=0.01):
    return math.cos(angle) * w + math.sin(angle) * np.roll(w, 1)


EDITS = {
    "w": lambda c: {"w": rotated(c.w)},
    "tau": lambda c: {"tau": c.tau / 2, "theta": math.atan(c.tau / 2)},
    "theta": lambda c: {"theta": c.theta / 2, "cone": c.theta / 2},
    "cone": lambda c: {"cone": c.cone / 2},
    "sigma": lambda c: {"sigma": 2 * c.sigma},
    "scale": lambda c: {"scale": 1.1 * c.scale},
    "edges": lambda c: {"edges": c.edges * 0.9},
    "lam": lambda c: {"lam": c.lam + 1.0 + 100 * abs(c.lam)},
    "push": lambda c: {"push": 1.01 * c.push},
    "push_limit": lambda c: {"push_limit": 1.01 * c.push_limit},
    "gradient": lambda c: {"gradient": 0.9 * c.gradient},
    "deviation": lambda c: {"deviation": 0.9 * c.deviation},
    "delta": lambda c: {"delta": 10 * c.delta},
    "n_band": lambda c: {"n_band": c.n_band + 1},
    "mistakes": lambda c: {"mistakes": c.mistakes - 1},
    "sure_mistakes": lambda c: {"sure_mistakes": c.sure_mistakes + 5},
    "disagreement": lambda c: {"disagreement": c.disagreement - 1},
    "cone_multiplier": lambda c: {"cone_multiplier": c.cone_multiplier / 2},
    "error_upper": lambda c: {"error_upper": 0.9 * c.error_upper},
    "digest": lambda c: {"digest": c.digest[::-1]},
    "nan": lambda c: {"tau": math.nan},
    "kind": lambda c: {"kind": "bayes"},
    "n": lambda c: {"n": c.n + 1},
    "transform": lambda c: {"transform": np.zeros((4, 4))},
}
MASSART_EDITS = {
    "eta": lambda c: {"eta": c.eta - 0.05},
    "n_candidates": lambda c: {"n_candidates": 5},
    "eps_hat": lambda c: {"eps_hat": 0.99 * c.eps_hat},
    "curve": lambda c: {"curve_eps": 0.9 * c.curve_eps},
    "agnostic": lambda c: {"kind": "agnostic", "optimum": 5},
}
AGNOSTIC_EDITS = {
    "optimum": lambda c: {"optimum": c.optimum + 1},
    "opt_lower": lambda c: {"opt_lower": 1.1 * c.opt_lower},
    "massart": lambda c: {"kind": "massart", "eta": 0.1, "eps_hat": 0.01},
    "vacuous": lambda c: {"vacuous": True},
}


@pytest.mark.parametrize("edit", [*EDITS, *MASSART_EDITS])
def test_an_edited_massart_certificate_fails(massart, edit):
    X, y, certificate = massart
    assert certificate.verify(X, y)
    assert not certificate.vacuous
    assert not replace(certificate, **(EDITS | MASSART_EDITS)[edit](certificate)).verify(X, y)


@pytest.mark.parametrize("edit", [*EDITS, *AGNOSTIC_EDITS])
def test_an_edited_agnostic_certificate_fails(agnostic, edit):
    X, y, certificate = agnostic
    report = certificate.verify(X, y)
    assert report, report.failures
    assert not certificate.vacuous
    assert not replace(certificate, **(EDITS | AGNOSTIC_EDITS)[edit](certificate)).verify(X, y)


def test_a_weaker_claim_passes(massart):
    X, y, certificate = massart
    assert replace(certificate, eps_hat=certificate.eps_hat * 1.1, reason="rounded up").verify(X, y)


def test_other_data_are_refused_and_the_report_says_why(massart):
    X, y, certificate = massart
    order = np.r_[1, 0, np.arange(2, len(X))]
    nearest = np.argsort(np.abs(X[:, 0]))[: len(X) // 100]
    relabelled = y.copy()
    relabelled[nearest] *= -1
    for other in ((X[order], y[order]), (X, relabelled), (X + 1e-9, y)):
        report = certificate.verify(*other)
        assert not report
        assert "not those that were certified" in report.failures[0]
    assert "other sizes" in certificate.verify(X[:100], y[:100]).failures[0]
    with pytest.raises(ValueError, match="labels other than"):
        certificate.verify(X, np.where(y > 0, 2, 1))
    report = certificate.verify(X, y)
    assert report.margin > 0.0
    assert report.recomputed["eps_hat"] == pytest.approx(certificate.eps_hat)


def test_recomputation_uses_the_data_and_not_the_digest_alone(massart):
    """Someone who edits the numbers may write the right digest, too: fewer mistakes on edited labels must not be believed."""
    X, y, certificate = massart
    other = massart_certificate(X, np.where(X[:, 0] > 0, 1, -1), certificate.w, sigma=0.2, eta=0.1)
    forged = replace(other, digest=certificate.digest, curve_etas=np.empty(0), curve_eps=np.empty(0))
    assert not forged.verify(X, y)


@pytest.mark.parametrize("marginal", MARGINALS)
@pytest.mark.parametrize("d", [1, 2, 5, 8])
def test_every_certificate_made_verifies(marginal, d):
    rng = np.random.default_rng(d)
    X = np.ascontiguousarray(MARGINALS[marginal](3000, max(d, 2), rng)[:, :d])
    y = adversary(X, np.ones(d), rng)
    for certificate in (
        certify(X, y, np.ones(d)),
        certify(X, y, np.ones(d), noise="massart", eta=0.1, intercept=0.2),
        massart_certificate(X, y, np.ones(d), sigma=1.0, eta=0.0, form="norm"),
        agnostic_certificate(X, y, np.ones(d), sigma=1.0, form="norm"),
    ):
        report = certificate.verify(X, y)
        assert report, (certificate.kind, report.failures)


# -- storage ------------------------------------------------------------------------------------------------------------------------------


def test_text_and_file_give_back_the_same_bits(massart, agnostic, tmp_path):
    for X, y, certificate in (massart, agnostic):
        certificate.save(tmp_path / "certificate.npz")
        for again in (HalfspaceCertificate.from_json(certificate.to_json()), HalfspaceCertificate.load(tmp_path / "certificate.npz")):
            for field in fields(certificate):
                before, after = getattr(certificate, field.name), getattr(again, field.name)
                assert np.array_equal(before, after, equal_nan=True) if isinstance(before, np.ndarray | float) else before == after, (
                    field.name
                )
            assert again.to_json() == certificate.to_json()
            assert again.verify(X, y)


def test_another_process_verifies(agnostic, tmp_path):
    X, y, certificate = agnostic
    certificate.save(tmp_path / "c.npz")
    np.savez(tmp_path / "data.npz", X=X, y=y)
    code = (
        "import numpy as np, sys; from algos.testable_halfspaces import HalfspaceCertificate as C; d = np.load(sys.argv[1] + '/data.npz');"
        "print(bool(C.load(sys.argv[1] + '/c.npz').verify(d['X'], d['y'])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_files_that_are_no_certificates_are_refused(agnostic, tmp_path):
    _, _, certificate = agnostic
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(ValueError, match="does not hold a HalfspaceCertificate"):
        HalfspaceCertificate.load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickle.npz", allow_pickle=True, statement=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        HalfspaceCertificate.load(tmp_path / "pickle.npz")
    content = json.loads(certificate.to_json())
    del content["fields"]["tau"]
    with pytest.raises(ValueError, match="fields"):
        HalfspaceCertificate.from_json(json.dumps(content))


# -- any classifier -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "classifier", [LogisticRegression(), LinearSVC(), Perceptron(), LogisticRegression(fit_intercept=False)], ids=lambda c: type(c).__name__
)
def test_certify_takes_fitted_classifiers_with_their_classes_and_intercept(classifier):
    X, y = noisy(n=4000, d=2, eta=0.05)
    X = X + ([0.0, 0.0] if classifier.get_params()["fit_intercept"] is False else [2.0, 1.0])
    names = np.where(y > 0, "yes", "no")
    classifier.fit(X, names)
    certificate = certify(X, names, classifier)
    assert certificate.classes == ("no", "yes")
    assert certificate.lift is classifier.get_params()["fit_intercept"]
    assert certificate.mistakes == np.count_nonzero(classifier.predict(X) != names)
    assert certificate.verify(X, names)
    assert ("halfspace with an intercept" in certificate.statement or certificate.vacuous) is certificate.lift
    again = HalfspaceCertificate.from_json(certificate.to_json())
    assert again.classes == ("no", "yes")


def test_certify_with_an_intercept_covers_all_lines():
    """For two columns the exact optimum over lines is that of three columns, the last one 1; many rows need a planted line instead."""
    rng = np.random.default_rng(0)
    for n in (100, 300, 20_000):
        X = rng.standard_normal((n, 2)) + np.r_[3.0, 0.0]
        y = np.where((X[:, 0] > 3.0) ^ (rng.random(n) < 0.05), 1, -1)
        certificate = certify(X, y, [1.0, 0.0], intercept=-3.0)
        assert certificate.verify(X, y)
        if n <= 300:
            assert certificate.optimum <= exact_halfspace_error(np.column_stack([X, np.ones(n)]), y).n_mistakes
    assert 0 < certificate.optimum <= np.count_nonzero((X[:, 0] > 3.0) != (y > 0))


def test_statement_does_not_depend_on_the_coordinates():
    X, y = noisy(n=3000, d=3, eta=0.05)
    A = np.random.default_rng(1).standard_normal((3, 3)) @ np.diag([1e-3, 1.0, 1e4])
    base = certify(X, y, [1.0, 0.01, 0.0])
    other = certify(X @ A, y, np.linalg.solve(A, [1.0, 0.01, 0.0]))
    assert abs(other.optimum - base.optimum) <= 1
    assert other.sigma == pytest.approx(base.sigma, rel=1e-9)
    plain = certify(X @ A, y, np.linalg.solve(A, [1.0, 0.01, 0.0]), transform=None)
    assert plain.optimum <= base.optimum


def test_dependent_columns_are_left_unmapped():
    X, y = noisy(n=2000, d=2, eta=0.05)
    doubled = np.column_stack([X, X[:, 0]])
    certificate = certify(doubled, y, [1.0, 0.0, 0.0])
    assert certificate.transform is None
    assert certificate.verify(doubled, y)


@given(st.integers(0, 10**6))
def test_invariances(seed):
    rng = np.random.default_rng(seed)
    X, y = noisy(n=2000, d=3, seed=seed)
    w, Q, order, unit = (
        np.r_[1.0, 0.01, 0.0],
        np.linalg.qr(rng.standard_normal((3, 3)))[0],
        rng.permutation(2000),
        10.0 ** rng.integers(-20, 20),
    )
    base, lower = massart_certificate(X, y, w, 0.5, 0.1), agnostic_certificate(X, y, w, 0.5)
    for Xn, yn, wn, sigma in ((X @ Q, y, Q.T @ w, 0.5), (X[order], y[order], w, 0.5), (X * unit, y, w, 0.5 * unit), (X, -y, -w, 0.5)):
        other = massart_certificate(Xn, yn, wn, sigma, 0.1)
        assert other.eps_hat == pytest.approx(base.eps_hat, rel=SAME)
        assert other.tau == pytest.approx(base.tau, rel=SAME)
        assert abs(agnostic_certificate(Xn, yn, wn, sigma).optimum - lower.optimum) <= 1
    twice = agnostic_certificate(np.repeat(X, 2, axis=0), np.repeat(y, 2), w, 0.5)
    assert abs(twice.o_low - lower.o_low) <= 1 / 2000


def test_blocks_of_any_size_give_the_same_certificate(tmp_path):
    X, y = noisy(n=70_000, d=3)
    stored = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype=np.float64, shape=X.shape)
    stored[:] = X
    expected = certify(X, y, [1.0, 0.0, 0.0]).to_json()
    for source in (stored, [X[:1], X[1:40_000], X[40_000:]], np.asfortranarray(X)):
        assert certify(source, y, [1.0, 0.0, 0.0]).to_json() == expected


def test_curve_never_falls_and_stored_values_are_safe(massart):
    X, y, certificate = massart
    etas = np.array([0.0, 0.05, 0.1, 0.15, 0.2])
    exact, stored = certificate.curve(etas, X, y), certificate.curve(etas)
    assert np.all(np.diff(exact) >= 0)
    assert np.all(stored >= exact - SAME)
    np.testing.assert_allclose(stored[[0, 2, 4]], exact[[0, 2, 4]], rtol=SAME)
    assert certificate.curve(0.3) == 1.0
    assert certificate.curve([0.1])[0] == pytest.approx(certificate.eps_hat)
    bare = massart_certificate(X[:500], y[:500], certificate.w, 0.5, 0.1)
    with pytest.raises(ValueError, match="no curve is stored"):
        bare.curve([0.1])
    with pytest.raises(ValueError, match=r"etas=0\.5"):
        certificate.curve([0.5])


def test_delta_is_divided_among_candidates_and_the_angle_widens():
    X, y = noisy()
    taus = [
        massart_certificate(X, y, [1.0, 0.0, 0.0], 0.3, 0.1, delta, n_candidates=K).tau for delta, K in [(0.5, 1), (0.05, 1), (0.05, 50)]
    ]
    assert np.all(np.diff(taus) > 0)


# -- nothing to say -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", ["massart", "agnostic"])
def test_sums_of_squares_prove_more_and_the_proof_is_checked(noise, tmp_path):
    X, y = noisy(n=10_000, d=5, eta=0.1)
    options = {"noise": noise, "eta": 0.1 if noise == "massart" else None}
    plain, sharp = (certify(X, y, np.eye(5)[0], form=form, **options) for form in ("quartic", "sos"))
    assert sharp.optimum > plain.optimum if noise == "agnostic" else sharp.eps_hat < plain.eps_hat
    assert sharp.optimum <= sharp.mistakes
    assert sharp.shift.shape == (15, 15)
    sharp.save(tmp_path / "sharp.npz")
    assert HalfspaceCertificate.load(tmp_path / "sharp.npz").verify(X, y)
    assert not replace(sharp, shift=None).verify(X, y)
    assert not replace(sharp, shift=sharp.shift[:10, :10]).verify(X, y)
    lowered = sharp.shift - 0.01 * np.eye(15)  # its form is not zero: it would lower the supremum by as much
    assert not replace(sharp, shift=lowered).verify(X, y)
    with pytest.raises(ValueError, match=r"form='sos' with 9 columns: the limit is 8"):
        certify(np.ones((20, 9)), np.resize([-1, 1], 20), np.ones(9), form="sos")


def test_a_sample_that_shows_where_to_look_changes_the_time_and_not_the_proof(monkeypatch):
    X, y = noisy(n=12_000, d=3, eta=0.1)
    exact = agnostic_certificate(X, y, np.eye(3)[0], 0.35)
    monkeypatch.setattr(_search, "_SAMPLED", 3000)
    sampled = agnostic_certificate(X, y, np.eye(3)[0], 0.35)
    assert sampled.optimum == pytest.approx(exact.optimum, rel=0.02)  # the grids of both searches
    assert sampled.verify(X, y)


def test_vacuous_certificates_say_why_and_verify():
    X, y = noisy(n=300, d=8, eta=0.3)
    cases = {
        "no angle": massart_certificate(X, y, np.eye(8)[0], 0.5, 0.3),
        "empty band": agnostic_certificate(X + 100.0, y, np.ones(8), 1e-6),
        "no mistakes": agnostic_certificate(X, np.where(X[:, 0] > 0, 1, -1), np.eye(8)[0], 0.5),
        "few rows": certify(X[:5], np.r_[y[:4], -y[3]], np.eye(8)[0]),
    }
    for name, certificate in cases.items():
        assert certificate.vacuous, name
        assert certificate.reason
        assert certificate.optimum == 0
        assert certificate.statement.startswith("Nothing is certified")
        assert certificate.guarantee.kind == "none"
        assert "Nothing is certified" in certificate.explain()
    data = {
        "no angle": (X, y),
        "empty band": (X + 100.0, y),
        "no mistakes": (X, np.where(X[:, 0] > 0, 1, -1)),
        "few rows": (X[:5], np.r_[y[:4], -y[3]]),
    }
    for name, certificate in cases.items():
        report = certificate.verify(*data[name])
        assert report, (name, report.failures)
    assert not replace(cases["no angle"], push_limit=cases["no angle"].push_limit + 0.1).verify(X, y)
    assert not replace(cases["no angle"], gradient=0.5 * cases["no angle"].gradient).verify(X, y)
    assert "so that the optimum may be 0" in cases["no mistakes"].reason


def test_explanation_names_the_budget(massart, agnostic):
    for _, _, certificate in (massart, agnostic):
        text = certificate.explain()
        assert f"band of {certificate.n_band} rows" in text
        assert f"{certificate.disagreement} rows can change sides" in text
        assert text.startswith(certificate.statement)


def test_one_column_needs_no_angle():
    X = np.r_[np.full(60, 1.0), np.full(40, -2.0)][:, None]
    y = np.r_[np.ones(50), -np.ones(10), np.ones(5), -np.ones(35)].astype(int)
    certificate = certify(X, y, [3.0])
    assert (certificate.mistakes, certificate.optimum) == (15, 15)
    assert certificate.verify(X, y)
    bounded = massart_certificate(X, y, [3.0], 1.0, 0.1)
    assert bounded.eps_hat == 0.0
    assert bounded.verify(X, y)


@pytest.mark.parametrize("scale", [1e-140, 1e140])
def test_tiny_and_huge_units(scale):
    X, y = noisy(n=2000, d=3)
    base, other = certify(X, y, [1.0, 0.0, 0.0]), certify(X * scale, y, [1.0, 0.0, 0.0])
    assert abs(base.optimum - other.optimum) <= 1
    assert other.verify(X * scale, y)


def test_tiny_columns_of_tiny_rows_overflow_nowhere():
    """In their unit the normal has entries whose squares overflow; warnings are errors here."""
    X, y = noisy(n=4000, d=2)
    units = np.array([1e-4, 1e-12])
    base, other = certify(X * units, y, [1.0, 0.0]), certify(X * units * 1e-146, y, [1.0, 0.0])
    assert base.optimum > 0
    assert abs(base.optimum - other.optimum) <= 1
    assert other.verify(X * units * 1e-146, y)


# -- bad input ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"eta": 0.5}, ValueError, "eta=0.5"),
        ({"eta": -0.1}, ValueError, "eta=-0.1"),
        ({"eta": None}, ValueError, "eta is missing"),
        ({"delta": 0.0}, ValueError, "delta=0.0"),
        ({"sigma": -1.0}, ValueError, "sigma=-1.0"),
        ({"n_candidates": 0}, ValueError, "n_candidates=0"),
        ({"form": "cubic"}, ValueError, "form='cubic'"),
        ({"etas": [0.7]}, ValueError, "etas=0.7"),
        ({"transform": np.ones((2, 2))}, ValueError, "invertible matrix"),
        ({"transform": np.eye(3)}, ValueError, r"transform has shape \(3, 3\)"),
        ({"y": np.zeros(10)}, ValueError, "labels must be -1 and"),
        ({"w": [np.nan, 1.0]}, ValueError, "w has largest entry"),
        ({"X": np.full((10, 2), np.inf)}, ValueError, "infinite"),
        ({"X": np.full((10, 2), 1e200)}, ValueError, "overflow"),
    ],
)
def test_massart_certificate_refuses_bad_input(change, error, message):
    rng = np.random.default_rng(0)
    arguments = {"X": rng.standard_normal((10, 2)), "y": rng.choice([-1, 1], 10), "w": [1.0, 0.0], "sigma": 1.0, "eta": 0.1} | change
    with pytest.raises(error, match=message):
        massart_certificate(**arguments)


def test_quartic_form_has_a_limit_on_columns():
    X = np.random.default_rng(0).standard_normal((200, 61))
    y = np.where(X[:, 0] > 0, 1, -1)
    y[:20] *= -1
    with pytest.raises(ValueError, match="the limit is 60"):
        agnostic_certificate(X, y, np.eye(61)[0], 1.0, form="quartic")
    assert agnostic_certificate(X, y, np.eye(61)[0], 1.0).verify(X, y)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": np.ones(10)}, ValueError, r"1 class\(es\)"),
        ({"y": np.arange(10) % 3}, ValueError, "OneVsRestClassifier"),
        ({"y": np.r_[np.nan, np.ones(9)]}, ValueError, "y has NaN"),
        ({"y": np.ones(9)}, ValueError, "y has shape"),
        ({"noise": "tsybakov"}, ValueError, "noise='tsybakov'"),
        ({"noise": "massart"}, ValueError, "eta is missing"),
        ({"eta": 0.1}, ValueError, "eta=0.1, .* with noise='agnostic'"),
        ({"etas": [0.1]}, ValueError, "with noise='agnostic'"),
        ({"sigmas": "wide"}, ValueError, "sigmas='wide'"),
        ({"sigmas": []}, ValueError, "sigmas is empty"),
        ({"sigmas": [0.0]}, ValueError, "sigmas=0.0"),
        ({"transform": "pca"}, ValueError, "transform='pca'"),
        ({"w": make_pipeline(StandardScaler(), LogisticRegression())}, TypeError, "Pipeline without coef_"),
        ({"w": LogisticRegression()}, TypeError, "without coef_"),
        ({"w": [1.0, 2.0, 3.0]}, ValueError, "w has shape"),
        ({"intercept": np.nan}, ValueError, "intercept=nan"),
    ],
)
def test_certify_refuses_bad_input(change, error, message):
    rng = np.random.default_rng(0)
    arguments = {"X": rng.standard_normal((10, 2)), "y": np.arange(10) % 2, "w": [1.0, 0.0]} | change
    with pytest.raises(error, match=message):
        certify(**arguments)


def test_sparse_coefficients_are_read():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 2)), np.arange(60) % 2
    classifier = LogisticRegression().fit(X, y)
    assert certify(X, y, classifier).to_json() == certify(X, y, classifier.sparsify()).to_json()


def test_certify_refuses_many_classes_and_a_second_intercept():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 2)), np.arange(60) % 3
    many = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="for 3 classes"):
        certify(X, y, many)
    two = LogisticRegression().fit(X, y > 0)
    with pytest.raises(ValueError, match="has its own"):
        certify(X, y > 0, two, intercept=1.0)
