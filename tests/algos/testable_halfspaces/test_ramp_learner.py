"""Ramp loss against its formula in numpy and against finite differences; descents against their invariants."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from algos.common.blocks import RowSource
from algos.testable_halfspaces import bounds
from algos.testable_halfspaces._arguments import read_only
from algos.testable_halfspaces._kernels import psgd_rows, ramp_curvature, ramp_rows
from algos.testable_halfspaces.ramp_learner import default_sigmas, ramp_loss, ramp_path

ROUNDING = 1e-12  # sums of at most a few thousand summands of order one
DIFFERENCES = 1e-6  # central differences with a step of 1e-6 times a third derivative of order 1 / sigma^3


def twin(X, y, w, sigma):
    """Loss, gradient and Hessian of the document's formulas, from `bounds`."""
    n, d = X.shape
    t = X @ w
    across = X - t[:, None] * w
    density, slope = bounds.ramp_density(margin=t, sigma=sigma), bounds.ramp_density_slope(margin=t, sigma=sigma)
    loss = np.mean(bounds.ramp(margin=-y * t, sigma=sigma))
    gradient = -np.mean((density * y)[:, None] * across, axis=0)
    tangent = np.eye(d) - np.outer(w, w)
    hessian = -(across.T * (y * slope)) @ across / n + np.mean(y * density * t) * tangent
    return loss, gradient, hessian


def problem(seed, n=400, d=4, heavy=False):
    rng = np.random.default_rng(seed)
    X = rng.standard_t(1.5, (n, d)) if heavy else rng.standard_normal((n, d))
    y = np.where((X[:, 0] >= 0) ^ (rng.random(n) < 0.2), 1.0, -1.0)
    w = rng.standard_normal(d)
    return X, y, w / np.linalg.norm(w)


@pytest.mark.parametrize("sigma", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_kernel_and_numpy_twin_agree(sigma, heavy, dtype):
    for seed in range(5):
        X, y, w = problem(seed, n=1100 + seed, heavy=heavy)  # more than two chunks, and every remainder of four
        X = X.astype(dtype)
        found = ramp_loss(X, y, w, sigma)
        loss, gradient, hessian = twin(X.astype(np.float64), y, w, sigma)
        size = np.max(np.abs(X)) / sigma
        assert found.value == pytest.approx(loss, abs=ROUNDING)
        np.testing.assert_allclose(found.gradient, gradient, atol=ROUNDING * size)
        u = np.arange(1.0, 5.0)
        np.testing.assert_allclose(found.hessian_product(u), hessian @ (u - (u @ w) * w), atol=ROUNDING * size**2 * 10)


def test_rows_exactly_on_the_joints_have_the_values_of_the_formula():
    sigma = 0.75
    t = sigma * np.array([0.0, 1 / 6, 1 / 2, -1 / 6, -1 / 2, np.nextafter(1 / 2, 0), np.nextafter(1 / 6, 1)])
    X = np.column_stack([t, np.ones(t.size)])
    y = np.where(np.arange(t.size) % 2, 1.0, -1.0)
    loss, gradient, _ = twin(X, y, np.array([1.0, 0.0]), sigma)
    found = ramp_loss(X, y, [1.0, 0.0], sigma)
    assert found.value == pytest.approx(loss, abs=ROUNDING)
    np.testing.assert_allclose(found.gradient, gradient, atol=ROUNDING)


def test_kernels_return_the_sums_that_they_name():
    X, y, w = problem(3, n=517)
    u = np.array([0.3, -1.0, 0.2, 2.0])
    u -= (u @ w) * w
    sigma, t = 0.6, X @ w
    k, slope = (2 * sigma / 3 * f(margin=t, sigma=sigma) for f in (bounds.ramp_density, bounds.ramp_density_slope))
    total = np.zeros(4)
    height, along = ramp_rows(read_only(X), read_only(y), read_only(w), sigma, total)
    np.testing.assert_allclose(total, (k * y) @ X, atol=ROUNDING * 100)
    assert height == pytest.approx(np.sum(bounds.ramp(margin=-y * t, sigma=sigma) - 0.5), abs=ROUNDING * 100)
    assert along == pytest.approx(np.sum(k * y * t), abs=ROUNDING * 100)
    total[:] = 0.0
    c = -y * slope * (X @ u)
    along, level = ramp_curvature(read_only(X), read_only(y), read_only(w), read_only(u), sigma, total)
    np.testing.assert_allclose(total, c @ X, atol=ROUNDING * 1000)
    assert (along, level) == pytest.approx((np.sum(c * t), np.sum(y * k * t)), abs=ROUNDING * 1000)


@pytest.mark.parametrize("sigma", [0.4, 2.0])
def test_derivatives_are_those_of_the_value(sigma):
    X, y, w = problem(1, n=300)
    w = 1.7 * w  # the loss does not depend on the length, its derivatives do
    found = ramp_loss(X, y, w, sigma)
    rng = np.random.default_rng(0)
    for _ in range(3):
        u = rng.standard_normal(4)
        up, down = (ramp_loss(X, y, w + h * u, sigma) for h in (1e-6, -1e-6))
        assert (up.value - down.value) / 2e-6 == pytest.approx(found.gradient @ u, abs=DIFFERENCES)
        v = u - (u @ w) * w / (w @ w)
        up, down = (ramp_loss(X, y, w + h * v, sigma) for h in (1e-6, -1e-6))
        change = (up.gradient - down.gradient) / 2e-6
        change -= (change @ w) * w / (w @ w)  # along w the gradient turns with the tangent space
        np.testing.assert_allclose(found.hessian_product(u), change, atol=100 * DIFFERENCES)


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100.0))
def test_loss_ignores_the_length_of_w_and_moves_with_the_scale_of_rows(seed, scale):
    X, y, w = problem(seed, n=50)
    value, gradient = ramp_loss(X, y, w, 0.5)
    assert abs(gradient @ w) <= ROUNDING
    assert ramp_loss(X, y, scale * w, 0.5).value == pytest.approx(value, abs=ROUNDING)
    assert ramp_loss(scale * X, y, w, scale * 0.5).value == pytest.approx(value, abs=ROUNDING)
    assert ramp_loss(X, -y, -w, 0.5).value == pytest.approx(value, abs=ROUNDING)


def test_pieces_of_any_size_give_the_same_bits():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150_000, 3))
    y = np.where(X[:, 0] > 0.1, 1, -1)
    whole, pieces = (ramp_loss(source, y, [1.0, 0.2, 0.0], 0.3) for source in (X, RowSource([X[:70_001], X[70_001:]])))
    assert whole.value == pieces.value
    assert whole.gradient.tobytes() == pieces.gradient.tobytes()
    assert whole.hessian_product([0.0, 1.0, 1.0]).tobytes() == pieces.hessian_product([0.0, 1.0, 1.0]).tobytes()


def test_loss_does_not_depend_on_where_the_rows_lie_in_memory():
    """A sum in a loop that also stores was taken in another order where the labels lay close before the kernel's own arrays."""
    rng = np.random.default_rng(0)
    X, y, w = rng.standard_normal((300, 3)), rng.choice([-1.0, 1.0], 300), read_only(np.array([0.6, 0.0, 0.8]))
    seen, places = set(), np.random.default_rng(1)
    for _ in range(1500):
        neighbours = [np.empty(int(places.integers(1, 1200))) for _ in range(int(places.integers(0, 40)))]
        labels = y.copy()
        neighbours[::2] = [None] * len(neighbours[::2])  # holes that the kernel's arrays may fill
        seen.add(ramp_rows(read_only(X), read_only(labels), w, 1.0, np.zeros(3))[0])
    assert len(seen) == 1


def test_huge_margins_do_not_spoil_the_sums():
    X, y, w = problem(0, n=20)
    X[3] *= 1e150
    loss, gradient, _ = twin(X, y, w, 0.5)
    found = ramp_loss(X, y, w, 0.5)
    assert found.value == pytest.approx(loss, abs=ROUNDING)
    np.testing.assert_allclose(found.gradient, gradient, atol=ROUNDING)


def psgd_twin(X, y, w, sigma, step):
    visited = []
    for x, label in zip(X, y, strict=True):
        t = x @ w
        w = w + step * bounds.ramp_density(margin=t, sigma=sigma) * label * (x - t * w)
        w = w / np.linalg.norm(w)
        visited.append(w)
    return np.array(visited)


def test_single_row_kernel_and_twin_visit_the_same_points():
    X, y, w = problem(5, n=200)
    kept, current = np.empty((10, 4)), w.copy()
    stored = psgd_rows(read_only(X), read_only(y), current, 0.7, 0.05, 100, 12, kept)
    visited = psgd_twin(X, y, w, 0.7, 0.05)
    assert stored == 9
    np.testing.assert_allclose(kept[:stored], visited[99::12], atol=ROUNDING)
    np.testing.assert_allclose(current, visited[-1], atol=ROUNDING)


@pytest.mark.parametrize("heavy", [False, True])
def test_candidates_are_stationary_and_report_what_they_are(heavy):
    X, y, _ = problem(2, n=3000, d=4, heavy=heavy)
    path = ramp_path(X, y, random_state=0)
    assert [c.sigma for c in path] == sorted((c.sigma for c in path), reverse=True)
    for candidate in path:
        value, gradient = ramp_loss(X, y, candidate.w, candidate.sigma)
        assert np.linalg.norm(candidate.w) == pytest.approx(1.0, abs=ROUNDING)
        assert candidate.loss == pytest.approx(value, abs=ROUNDING)
        assert candidate.gradient_norm == pytest.approx(np.linalg.norm(gradient), abs=ROUNDING)
        assert candidate.n_mistakes == np.count_nonzero(np.where(X @ candidate.w >= 0, 1, -1) != y)
        assert candidate.gradient_norm <= 1e-5
        assert candidate.status == "converged"
    assert path.best.n_mistakes == min(c.n_mistakes for c in path)


def test_descent_never_raises_the_loss_even_with_one_step_per_call():
    X, y, w = problem(4, n=500, heavy=True)
    for sigma in (2.0, 0.3):
        losses = [ramp_loss(X, y, w, sigma).value]
        for steps in (1, 2, 5, 20):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                path = ramp_path(X, y, sigmas=[sigma], starts=["chow"], max_iter=steps)
            losses.append(path.candidates[0].loss)
        assert losses[1:] == sorted(losses[1:], reverse=True)


def test_limit_of_steps_is_said():
    X, y, _ = problem(4, n=500)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        path = ramp_path(X, y, sigmas=[1.0], starts=["random"], n_restarts=1, max_iter=1, random_state=0)
    assert path.candidates[0].status == "max_iter"


def test_empty_band_is_named_and_has_gradient_zero():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.choice([-1.0, 1.0], 300), 0.01 * rng.standard_normal(300)])
    y = X[:, 0] * rng.choice([1, 1, 1, -1], 300)
    path = ramp_path(X, y, sigmas=[0.5], starts=["chow"])
    assert (path.candidates[0].status, path.candidates[0].gradient_norm) == ("stalled_empty_band", 0.0)


def test_far_off_wrong_rows_do_not_move_the_ramp_but_move_the_mean():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((4000, 3))
    y = np.where(X[:, 0] >= 0, 1.0, -1.0)
    X[:200], y[:200] = [-20.0, 0.0, 0.0], 1.0
    w = ramp_path(X, y, random_state=0).best.w
    assert abs(w[0]) >= 0.999
    assert np.mean(y[:, None] * X, axis=0)[0] < 0.0


def test_many_rows_are_explored_on_a_part_and_finished_on_all():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60_000, 2))
    y = np.where((X @ [0.6, 0.8] >= 0) ^ (rng.random(60_000) < 0.1), 1.0, -1.0)
    path = ramp_path(X, y, sigmas=[0.5, 0.2], random_state=0)
    for candidate in path:
        assert np.linalg.norm(ramp_loss(X, y, candidate.w, candidate.sigma).gradient) <= 1e-5
    again = ramp_path(X, y, sigmas=[0.5, 0.2], random_state=0)
    assert all(a.w.tobytes() == b.w.tobytes() for a, b in zip(path, again, strict=True))


def test_single_row_descent_meets_the_rate_of_the_theory():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((20_000, 5))
    y = np.where((X[:, 0] >= 0) ^ (rng.random(20_000) < 0.1), 1.0, -1.0)
    path = ramp_path(X, y, sigmas=[0.5], solver="psgd", random_state=0)
    lipschitz, variance = bounds.gradient_lipschitz(sigma=0.5), bounds.gradient_variance(sigma=0.5, n_features=5)
    bound = bounds.descent_gradient_bound(lipschitz=lipschitz, variance=variance, steps=20_000)
    assert path.candidates[0].gradient_norm ** 2 <= bound
    assert path.candidates[0].w[0] >= 0.99


def test_default_widths_follow_the_scale_and_leave_out_empty_bands():
    X, y, _ = problem(0, n=2000)
    sigmas = default_sigmas(X, y)
    np.testing.assert_allclose(default_sigmas(1000.0 * X, y), 1000.0 * np.array(sigmas), rtol=ROUNDING)
    assert len(sigmas) < len(default_sigmas(*problem(0, n=20_000)[:2]))


def test_one_feature_and_one_class_have_a_path():
    X = np.linspace(-1.0, 1.0, 101)[:, None]
    y = np.where(X[:, 0] >= 0, 1, -1)
    assert ramp_path(X, y).best.n_mistakes == 0
    assert ramp_path(X, np.ones(101), random_state=0).best.n_mistakes <= 51


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0, 1, 1]}, r"y has the values 0, 1; labels must be -1 and \+1"),
        ({"y": [1, -1]}, r"y has shape \(2,\), X has 3 rows"),
        ({"w": [1.0]}, r"w has shape \(1,\), X has 2 columns"),
        ({"w": [0.0, 0.0]}, "directions? needs finite numbers that are not all zero"),
        ({"sigma": 0.0}, r"sigma=0.0 is outside \(0, inf\)"),
        ({"X": [[np.nan, 1.0], [1.0, 1.0], [0.0, 2.0]]}, "X has a NaN entry in row 0, column 0"),
    ],
)
def test_bad_input_is_refused_with_its_name(change, message):
    arguments = {"X": [[1.0, 1.0], [1.0, 2.0], [0.0, 2.0]], "y": [1, -1, 1], "w": [1.0, 0.0], "sigma": 0.5} | change
    with pytest.raises(ValueError, match=message):
        ramp_loss(**arguments)


def test_bad_options_of_the_path_are_refused():
    X, y, _ = problem(0, n=20)
    with pytest.raises(ValueError, match="gives no start"):
        ramp_path(X, y, starts=["random"], n_restarts=0)
    with pytest.raises(ValueError, match="sigmas is empty"):
        ramp_path(X, y, sigmas=[])
    with pytest.raises(ValueError, match="solver='newton' is not known"):
        ramp_path(X, y, solver="newton")
    with pytest.raises(ValueError, match="u has shape"):
        ramp_loss(X, y, [1.0, 0, 0, 0], 0.5).hessian_product([1.0])
