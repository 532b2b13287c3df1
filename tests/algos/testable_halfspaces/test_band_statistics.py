"""Band statistics: their definition in plain numpy, Gaussian limits, invariances, heavy rows, bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algos.common.blocks import RowSource
from algos.testable_halfspaces import band_statistics, bounds
from algos.testable_halfspaces._geometry import View, whitening_map

SUM = 1e-11  # sums of a few thousand terms in another order and another basis
GAUSSIAN = 0.06  # five standard errors of fourth moments from some 40,000 rows in the band


def data(n=3000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) @ np.diag(np.arange(1.0, d + 1))
    return X, np.sign(X @ np.r_[1.0, 0.3, np.zeros(d - 2)] + 0.1 * rng.standard_normal(n)), rng.standard_normal(d)


def plain(X, y, w, sigma):
    """Every statistic from its definition, z by projection instead of a basis, all rows counted as light."""
    n, d = X.shape
    w = w / np.linalg.norm(w)
    t = X @ w
    psi = bounds.ramp_density(margin=t, sigma=sigma)
    z = X - np.outer(t, w)
    m0 = psi.mean()
    scale = np.sqrt(np.mean(psi * np.sum(z**2, axis=1)) / m0 / (d - 1))
    z = z / scale
    return {
        "n": n, "n_band": np.count_nonzero(np.abs(t) < sigma / 2), "m0": m0, "B": np.mean(psi * np.abs(t)), "scale": scale,
        "N2": np.linalg.eigvalsh((z * psi[:, None] ** 2).T @ z / n)[-1], "G": np.linalg.norm((psi * y) @ z / n),
        "covariance": np.linalg.eigvalsh((z * psi[:, None]).T @ z / n)[-1], "largest": np.max(psi * np.linalg.norm(z, axis=1)),
        "psi": psi, "z": z,
    }  # fmt: skip


@pytest.mark.parametrize("sigma", [0.3, 2.0, 50.0])
def test_statistics_are_those_of_the_definition(sigma):
    X, y, w = data()
    band, expected = band_statistics(X, y, w, sigma), plain(X, y, w, sigma)
    for name in ("n", "n_band", "m0", "B", "scale", "N2", "G", "covariance", "largest"):
        assert getattr(band, name) == pytest.approx(expected[name], rel=SUM), name
    assert np.trace(band.M2) == pytest.approx(3 * band.m0, rel=SUM)  # the scale is chosen so
    np.testing.assert_allclose(band.weights[-1], band.m0, rtol=SUM)
    pushes = np.sort(expected["psi"] * np.linalg.norm(expected["z"], axis=1))[::-1]
    np.testing.assert_allclose(band.pushes, np.cumsum(pushes)[: band.n_band] / band.n, rtol=SUM)
    # the fourth moment in every direction is below K4, and the gradient is minus that of the ramp loss
    V = np.random.default_rng(1).standard_normal((200, 4))
    V -= np.outer(V @ w, w) / (w @ w)
    V /= np.linalg.norm(V, axis=1)[:, None]
    fourth = np.mean(expected["psi"][:, None] * (expected["z"] @ V.T) ** 4, axis=0)
    assert fourth.max() <= band.K4 <= 2 * fourth.max()
    h = 1e-6
    unit = w / np.linalg.norm(w)

    def loss(v):
        return np.mean(bounds.ramp(margin=-y * (X @ v) / np.linalg.norm(v), sigma=sigma))

    for v in V[:3]:
        slope = (loss(unit + h * v) - loss(unit - h * v)) / (2 * h)
        assert slope == pytest.approx(-band.scale * (band.g @ (band.basis.T @ v)), abs=1e-7)


def test_mistakes_push_no_more_than_the_bound():
    X, y, w = data(n=400)
    band, expected = band_statistics(X, y, w, 2.0), plain(X, y, w, 2.0)
    V = np.random.default_rng(1).standard_normal((2000, 4))
    V -= np.outer(V @ w, w) / (w @ w)
    V /= np.linalg.norm(V, axis=1)[:, None]
    pushes = np.sort(expected["psi"][:, None] * np.abs(expected["z"] @ V.T), axis=0)[::-1]
    for k in (1, 5, 40, 400):
        assert pushes[:k].sum(axis=0).max() / 400 <= band.mistake_push(k)
    assert band.mistake_push(0) == 0.0
    assert np.all(np.diff([band.mistake_push(k) for k in range(60)]) >= 0)


def test_gaussian_rows_have_the_gaussian_moments():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400_000, 5))
    y = np.sign(X[:, 0])
    sigma = 0.4
    band, limit = band_statistics(X, y, np.eye(5)[0], sigma), bounds.gaussian_band_moments(sigma=sigma)
    for name, value in (("m0", band.m0), ("B", band.B), ("M2", band.covariance), ("N2", band.N2), ("K4", band.K4)):
        assert value == pytest.approx(limit[name], rel=GAUSSIAN), name
    assert band.scale == pytest.approx(1.0, abs=0.01)


@given(st.integers(0, 10**6))
def test_rotation_permutation_units_and_reversal(seed):
    rng = np.random.default_rng(seed)
    X, y, w = data(n=300, d=3, seed=seed)
    base = band_statistics(X, y, w, 1.5)
    Q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    order = rng.permutation(300)
    unit = 10.0 ** rng.integers(-30, 30)
    for other in (
        band_statistics(X @ Q, y, Q.T @ w, 1.5),
        band_statistics(X[order], y[order], w, 1.5),
        band_statistics(X, -y, -w, 1.5),
    ):
        for name in ("m0", "B", "N2", "G", "K4", "scale", "covariance"):
            assert getattr(other, name) == pytest.approx(getattr(base, name), rel=1e-8, abs=1e-14), name
    scaled = band_statistics(X * unit, y, w, 1.5 * unit)
    assert scaled.G * unit == pytest.approx(base.G, rel=1e-8, abs=1e-14)
    assert scaled.K4 * unit == pytest.approx(base.K4, rel=1e-8)
    assert scaled.scale == pytest.approx(base.scale * unit, rel=1e-8)


def test_any_source_gives_the_same_numbers(tmp_path):
    X, y, w = data(n=70_000, d=3)
    base = band_statistics(X, y, w, 1.0)
    stored = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype=np.float64, shape=X.shape)
    stored[:] = X
    pieces = [X[:5], X[5:66_000], X[66_000:]]
    for source in (stored, pieces, RowSource(pieces), lambda: iter(pieces), np.asfortranarray(X)):
        other = band_statistics(source, y, w, 1.0)
        assert (other.G, other.K4, other.N2, other.m0) == (base.G, base.K4, base.N2, base.m0)
    single = band_statistics(X.astype(np.float32), y, w, 1.0)
    assert single.K4 == band_statistics(X.astype(np.float32).astype(np.float64), y, w, 1.0).K4


def test_rows_of_another_size_do_not_set_the_unit():
    X, y, w = data(n=5000, d=3)
    base = band_statistics(X, y, w, 1.0)
    X[::500] *= 1e6
    X[::500] -= np.outer(X[::500] @ w, w) / (w @ w)  # far away, and on the hyperplane
    far = band_statistics(X, y, w, 1.0)
    assert far.scale == pytest.approx(base.scale, rel=0.02)
    assert far.K4 > 1e15 * base.K4


@pytest.mark.parametrize(("n", "d"), [(1, 2), (2, 2), (3, 5), (50, 1)])
def test_few_rows_and_one_column(n, d):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, d)), np.ones(n)
    band = band_statistics(X, y, np.ones(d), 100.0)
    assert band.n_band == n
    assert np.all(np.isfinite([band.m0, band.B, band.N2, band.G, band.K4, band.covariance]))
    empty = band_statistics(X + 1000.0, y, np.ones(d), 1e-3)
    assert (empty.n_band, empty.m0, empty.G, empty.K4, empty.mistake_push(3)) == (0, 0.0, 0.0, 0.0, 0.0)


def test_whitening_map_gives_unit_moments_or_refuses():
    X, _, w = data(n=2000, d=4)
    X = X @ np.random.default_rng(3).standard_normal((4, 4)) + 3.0
    for lift in (False, True):
        lifted = np.column_stack([X, np.ones(2000)]) if lift else X
        T = whitening_map(X, lift=lift)
        np.testing.assert_allclose((lifted @ T).T @ (lifted @ T) / 2000, np.eye(4 + lift), atol=1e-10)
        normal = np.r_[w, 0.7] if lift else w
        view = View.of(X, normal, lift=lift, transform=T)
        # margins are those of the mapped rows, and keep the sign of the original ones
        np.testing.assert_allclose(view.t, (lifted @ T) @ view.w, atol=1e-9)
        assert np.all((view.t > 0) == (lifted @ normal > 0))
        z = view.coordinates(np.ones(2000, dtype=bool))
        np.testing.assert_allclose(np.sum(z**2, axis=1) + view.t**2, np.sum((lifted @ T) ** 2, axis=1), rtol=1e-9)
        assert np.all(view.rho >= np.linalg.norm(z, axis=1))
    assert whitening_map(np.column_stack([X, X[:, 0]]), lift=False) is None
    assert whitening_map(np.column_stack([X, np.zeros(2000)]), lift=False) is None
    assert whitening_map(np.column_stack([X, np.ones(2000)]), lift=True) is None
    assert whitening_map(X * 1e200, lift=False) is None


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": np.full((5, 2), np.nan)}, ValueError, "NaN"),
        ({"X": np.full((5, 2), 1e200)}, ValueError, "squares overflow"),
        ({"X": np.ones(5)}, ValueError, "dimension"),
        ({"y": np.ones(4)}, ValueError, "y has shape"),
        ({"y": [0, 1, 1, 0, 1]}, ValueError, "labels must be -1 and"),
        ({"w": [0.0, 0.0]}, ValueError, "w has largest entry"),
        ({"w": [1.0, 2.0, 3.0]}, ValueError, "w has shape"),
        ({"sigma": 0.0}, ValueError, "sigma=0.0"),
        ({"sigma": "1"}, TypeError, "sigma='1'"),
    ],
)
def test_bad_input_names_the_argument(change, error, message):
    arguments = {"X": np.ones((5, 2)), "y": np.ones(5), "w": [1.0, 0.0], "sigma": 1.0} | change
    with pytest.raises(error, match=message):
        band_statistics(**arguments)


def test_sparse_rows_are_refused():
    import scipy.sparse as sp

    with pytest.raises(TypeError, match="sparse"):
        band_statistics(sp.eye_array(3, format="csr"), np.ones(3), np.ones(3), 1.0)
