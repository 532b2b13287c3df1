"""Bounds and masks on rows from elsewhere: planted halfspaces, adversarial rows, what an unconfined certificate says."""

import math

import numpy as np
import pytest

from algos.testable_halfspaces import agnostic_certificate, certify, massart_certificate, predict_mask, shift_bound

ELSEWHERE = {
    "same": lambda rng, n: rng.standard_normal((n, 3)),
    "moved along w": lambda rng, n: rng.standard_normal((n, 3)) + np.r_[3.0, 0.0, 0.0],
    "t1.5": lambda rng, n: rng.standard_t(1.5, (n, 3)),
    "cube": lambda rng, n: rng.choice([-1.0, 1.0], (n, 3)),
    "lattice": lambda rng, n: rng.integers(-2, 3, (n, 3)).astype(float),
    "next to the hyperplane": lambda rng, n: rng.standard_normal((n, 3)) * np.r_[0.01, 1.0, 1.0],
    "one point": lambda rng, n: np.tile([0.004, -1.0, 0.0], (n, 1)),
}
TRUTH = np.r_[1.0, 0.01, 0.0]


@pytest.fixture(scope="module")
def certificate():
    X = np.random.default_rng(0).standard_normal((30_000, 3))
    found = massart_certificate(X, np.where(X @ TRUTH >= 0, 1, -1), [1.0, 0.0, 0.0], sigma=0.1, eta=0.0)
    assert found.confined
    assert math.atan(0.01) <= found.theta < 0.1
    return found


@pytest.mark.parametrize("where", ELSEWHERE)
def test_error_elsewhere_is_below_the_bound_and_masked_rows_are_right(certificate, where):
    rng = np.random.default_rng(1)
    X = ELSEWHERE[where](rng, 5000)
    bound, mask = shift_bound(certificate, X), predict_mask(certificate, X)
    wrong = (X[:, 0] >= 0) != (X @ TRUTH >= 0)
    assert wrong.sum() <= bound.count
    assert wrong.mean() <= bound.value
    assert not np.any(wrong & mask)
    assert bound.decided == mask.mean()
    assert bound.count <= np.count_nonzero(~mask)
    assert (bound.n, bound.theta) == (5000, certificate.theta)
    assert len(bound.guarantee.premises) == 3
    assert any("excluded the reverse" in premise for premise in bound.guarantee.premises)


def test_every_halfspace_of_the_cone_agrees_on_masked_rows(certificate):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((2000, 3))
    mask = predict_mask(certificate, X)
    angle = rng.uniform(0, 2 * np.pi, 500)
    V = np.column_stack([np.zeros(500), np.cos(angle), np.sin(angle)])
    tangent = math.tan(certificate.theta)
    rivals = np.vstack([certificate.w + tangent * V, certificate.w + 0.5 * tangent * V])
    same = np.all((rivals @ X.T >= 0) == (X[:, 0] >= 0), axis=0)
    assert np.all(same[mask])
    assert same.mean() - mask.mean() < 0.01  # the mask misses few rows on which all of these agree


def test_bound_follows_the_rows_and_not_those_of_the_certificate(certificate):
    rng = np.random.default_rng(3)
    far, near = ELSEWHERE["moved along w"](rng, 5000), ELSEWHERE["next to the hyperplane"](rng, 5000)
    assert shift_bound(certificate, far).value < 0.01
    assert shift_bound(certificate, near).value > 0.5
    assert shift_bound(certificate, far, delta=1e-6).value > shift_bound(certificate, far).value
    assert predict_mask(certificate, near).mean() < 0.5


def test_intercept_and_whitening_are_those_of_the_certificate():
    rng = np.random.default_rng(4)
    A, shift = rng.standard_normal((2, 2)), np.r_[5.0, -3.0]
    X = rng.standard_normal((20_000, 2)) @ A + shift
    w = np.r_[0.4, -1.0]
    b = -float(w @ shift)
    found = certify(X, np.where(X @ w + b >= 0, 1, -1), w, intercept=b, noise="massart", eta=0.0)
    assert found.lift
    assert found.transform is not None
    other = rng.standard_normal((3000, 2)) @ A * 2.0 + shift
    mask = predict_mask(found, other)
    assert mask.mean() > 0.8
    angle = rng.uniform(0, 2 * np.pi, 300)
    T = found.transform
    mapped = np.linalg.solve(T, found.w)
    mapped /= np.linalg.norm(mapped)
    basis = np.linalg.qr(np.column_stack([mapped, np.eye(3)]))[0][:, 1:3]
    rivals = mapped + math.tan(found.theta) * np.column_stack([np.cos(angle), np.sin(angle)]) @ basis.T
    lifted = np.column_stack([other, np.ones(3000)])
    sides = lifted @ T @ rivals.T >= 0
    assert np.all(sides[mask] == (lifted @ found.w >= 0)[mask, None])


def test_certificates_that_confine_nothing_decide_nothing():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((300, 3))
    y = np.where((X[:, 0] > 0) ^ (rng.random(300) < 0.3), 1, -1)
    no_angle = massart_certificate(X, y, [1.0, 0.0, 0.0], sigma=0.1, eta=0.3)
    big = rng.standard_normal((20_000, 3))
    reverse = massart_certificate(big, np.where(big[:, 0] > 0, 1, -1), [-1.0, 0.0, 0.0], sigma=0.2, eta=0.0)
    assert reverse.tau < math.inf  # the angle is excluded, but the best halfspace lies around the reverse
    for certificate in (no_angle, reverse):
        bound = shift_bound(certificate, X)
        assert (bound.value, bound.decided) == (1.0, 0.0)
        assert bound.guarantee.kind == "none"
        assert not predict_mask(certificate, X).any()


def test_a_trivial_excess_still_confines():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((20_000, 3))
    y = np.where((X[:, 0] > 0) ^ (rng.random(20_000) < 0.1), 1, -1)
    certificate = massart_certificate(X, y, [1.0, 0.0, 0.0], sigma=0.3, eta=0.1)
    assert certificate.vacuous  # no better than the error itself
    assert certificate.confined
    assert shift_bound(certificate, X[:500] + np.r_[5.0, 0.0, 0.0]).value < 0.02


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"delta": 1.0}, ValueError, "delta=1.0"),
        ({"X": np.ones((4, 2))}, ValueError, "X has 2 columns"),
        ({"X": np.full((4, 3), np.nan)}, ValueError, "NaN"),
        ({"certificate": "yes"}, TypeError, "certificate is a str"),
    ],
)
def test_bad_input(certificate, change, error, message):
    arguments = {"certificate": certificate, "X": np.ones((4, 3))} | change
    with pytest.raises(error, match=message):
        shift_bound(**arguments)


def test_an_agnostic_certificate_confines_no_halfspace():
    X = np.random.default_rng(0).standard_normal((50, 2))
    certificate = agnostic_certificate(X, np.where(X[:, 1] > 0, 1, -1), [1.0, 0.0], 1.0)
    for function in (shift_bound, predict_mask):
        with pytest.raises(ValueError, match="agnostic"):
            function(certificate, X)
