"""Compiled loops of LinUCB: a pull updates all predictions and widths, and finds the next action, in one pass over the actions.

Dense actions come in tiles of shape (tiles, features, LANES), so that a tile is read in one stretch and all its lanes are served side by
side: nothing is summed in another order than it is written. The inverse of V is kept as a product W W', which a pull changes by a factor
and not by a difference: after many pulls of one action its small width is not drowned by the large ones of directions never pulled.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

__all__ = [
    "DET",
    "DUE",
    "GRAIN",
    "LANES",
    "N_RUNNING",
    "PULLS",
    "START_AGAIN",
    "advance",
    "play_dense",
    "pull_dense",
    "pull_sparse",
    "tiles_of",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Table = npt.NDArray[Any]

LANES = 64
PULLS, DET, LARGEST, SINCE, GROWTH, DOUBT, GRAIN, DUE = range(8)
"""Places in the array of running numbers: answers taken in, ln det(V) - d ln(ridge), largest reward; and since the last refresh: answers,
factor by which squared widths may have shrunk, rounding in the predictions, what a pull adds to it per unit of surprise, refresh is due."""
N_RUNNING = 8
START_AGAIN = slice(SINCE, DUE + 1)

_STATE = "f8[:, ::1], f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[:, :, ::1], f8[:, ::1], f8[::1])"
_GROWTH = 1e5  # by which squared widths may shrink between two refreshes: as many of their 16 digits are lost
_DOUBT = 1e-9  # of the largest reward: rounding in predictions that is tolerated before a refresh


def tiles_of(X: Table) -> Table:
    """Return the rows as tiles (tiles, features, LANES) of the same type; the last one is filled with zeros."""
    rows, columns = X.shape
    tiles = np.empty((-(-rows // LANES), columns, LANES), dtype=X.dtype)
    whole = rows // LANES
    tiles[:whole] = X[: whole * LANES].reshape(whole, LANES, columns).transpose(0, 2, 1)
    if rows % LANES:
        tiles[whole] = 0.0
        tiles[whole, :, : rows % LANES] = X[whole * LANES :].T
    return tiles


@kernel
def advance(phi: FloatArray, root: FloatArray, running: FloatArray, u: FloatArray) -> float:
    """Add one action to V = (W W')^-1, write u = V^-1 phi of before into ``u``, and return phi' V^-1 phi of before.

    With v = W' phi, k = v'v and r = sqrt(1 + k) the new W is W (I - v v' / (r (r + 1))), because the square of the bracket is
    I - v v' / (1 + k).
    """
    d = phi.shape[0]
    v = np.zeros(d)
    for i in range(d):
        if phi[i] != 0.0:
            for j in range(d):
                v[j] += phi[i] * root[i, j]
    k = 0.0
    for j in range(d):
        k += v[j] * v[j]
    r = math.sqrt(1.0 + k)
    scale = 1.0 / (r * (r + 1.0))
    for i in range(d):
        total = 0.0
        for j in range(d):
            total += root[i, j] * v[j]
        u[i] = total
        for j in range(d):
            root[i, j] -= scale * total * v[j]
    running[PULLS] += 1.0
    running[DET] += math.log1p(k)
    return k


@kernel
def _judge(value: float, surprise: float, reference: float, constants: FloatArray, running: FloatArray) -> None:
    """Note what an answer costs in digits. The shrinking of widths is bounded by the trace of V relative to V at the last refresh."""
    running[LARGEST] = max(running[LARGEST], abs(value))
    running[SINCE] += 1.0
    running[GROWTH] += reference
    running[DOUBT] += running[GRAIN] * abs(surprise)
    due = running[SINCE] >= constants[5] or running[GROWTH] > _GROWTH or running[DOUBT] > _DOUBT * running[LARGEST]
    running[DUE] = 1.0 if due else 0.0


@kernel
def _bonus(running: FloatArray, constants: FloatArray) -> float:
    """Return the factor of the widths: noise, ridge, and misspecification by Cauchy and Schwarz."""
    sigma, log_delta, ridge_part, eps = constants[0], constants[1], constants[2], constants[3]
    return sigma * math.sqrt(2.0 * log_delta + running[DET]) + ridge_part + eps * math.sqrt(running[PULLS])  # type: ignore[no-any-return]


@kernel
def _settle(
    z: FloatArray,
    step: float,
    shrink: float,
    bonus: float,
    f: FloatArray,
    h: FloatArray,
    shut: FloatArray,
    index: FloatArray,
    high: FloatArray,
) -> None:
    """Update predictions, squared widths and indices of one tile; ``shut`` is 0, or -inf where no pull is wanted."""
    for j in range(LANES):
        f[j] += step * z[j]
        width = h[j] - (shrink * z[j]) * z[j]
        width = width if width > 0.0 else 0.0
        h[j] = width
        value = f[j] + bonus * math.sqrt(width) + shut[j]
        index[j] = value
        high[j] = value if value > high[j] else high[j]


@kernel
def _weigh(
    z: FloatArray,
    shrink: float,
    cross: FloatArray,
    pulled_z: FloatArray,
    counts: FloatArray,
    eps: float,
    index: FloatArray,
    high: FloatArray,
) -> None:
    """Add eps times the sum of |phi' V^-1 phi_b| over all pulls b to the indices of one tile, after updating those products."""
    total = np.zeros(LANES)
    for b in range(counts.shape[0]):
        products, factor, weight = cross[b], shrink * pulled_z[b], counts[b]
        for j in range(LANES):
            products[j] -= factor * z[j]
            total[j] += weight * abs(products[j])
    for j in range(LANES):
        index[j] += eps * total[j]
        high[j] = index[j] if index[j] > high[j] else high[j]


@kernel
def _first(index: FloatArray, high: FloatArray) -> int:
    """Return the lowest action with the largest index."""
    best = high.max()
    flat = index.reshape(-1)
    for a in range(flat.shape[0]):
        if flat[a] == best:
            return a
    return -1


@kernel
def _times(tile: Table, u: FloatArray, z: FloatArray) -> None:
    """Write the products of a tile's actions with u; one feature after the other, since two streams side by side defeat the prefetcher."""
    z[:] = 0.0
    for k in range(u.shape[0]):
        weight, x = u[k], tile[k]
        for j in range(LANES):
            z[j] += weight * x[j]


@kernel
def _times_rows(data: Table, indices: IntArray, indptr: IntArray, first: int, u: FloatArray, z: FloatArray) -> None:
    """Write the products of the sparse rows first, first + 1, ... with u."""
    z[:] = 0.0
    for j in range(min(LANES, indptr.shape[0] - 1 - first)):
        for place in range(indptr[first + j], indptr[first + j + 1]):
            z[j] += data[place] * u[indices[place]]


@kernel
def _pulled_products(pulled: FloatArray, u: FloatArray) -> FloatArray:
    products = np.zeros(pulled.shape[0])
    for b in range(pulled.shape[0]):
        for k in range(u.shape[0]):
            products[b] += pulled[b, k] * u[k]
    return products


@kernel
def _begin(
    phi: FloatArray,
    value: float,
    surprise: float,
    reference: float,
    root: FloatArray,
    running: FloatArray,
    constants: FloatArray,
    u: FloatArray,
) -> tuple[float, float, float]:
    """Do what a pull costs besides the pass: return the step of the predictions, the shrinking of the widths, and the new bonus."""
    _judge(value, surprise, reference, constants, running)
    shrink = 1.0 / (1.0 + advance(phi, root, running, u))
    return surprise * shrink, shrink, _bonus(running, constants)


@kernel(signatures=("(f8[:, :, ::1], i8, f8, " + _STATE, "(f4[:, :, ::1], i8, f8, " + _STATE))
def pull_dense(
    tiles: Table,
    action: int,
    value: float,
    root: FloatArray,
    running: FloatArray,
    constants: FloatArray,
    f: FloatArray,
    h: FloatArray,
    shut: FloatArray,
    index: FloatArray,
    reference: FloatArray,
    cross: FloatArray,
    pulled: FloatArray,
    counts: FloatArray,
) -> int:
    """Take in one answer and return the action with the largest index.

    Parameters
    ----------
    tiles : float array of shape (tiles, d, LANES)
        Actions, as `tiles_of` makes them.
    action, value : int, float
        The answer.
    root, running : arrays of shape (d, d) and (N_RUNNING,)
        W, and the running numbers; changed.
    constants : array of shape (6,)
        sigma, ln(1/delta), sqrt(ridge) R, eps by Cauchy and Schwarz, eps by the exact sum (one of the two is 0), answers between refreshes.
    f, h, shut, index : arrays of shape (tiles, LANES)
        Predictions, squared widths (changed), what is added to an index, and the indices (written).
    reference : array of shape (tiles * LANES,)
        Squared widths at the last refresh.
    cross, pulled, counts : arrays of shape (tiles, at least m, LANES), (m, d) and (m,)
        For the exact sum: products phi' V^-1 phi_b with the m actions pulled so far (changed), their features, and their numbers of pulls,
        this one included. With m = 0 the sum is left out. Products with a new action must hold x' V^-1 phi of before.
    """
    d = tiles.shape[1]
    u, phi = np.empty(d), np.empty(d)
    own, lane = action // LANES, action % LANES
    for i in range(d):
        phi[i] = tiles[own, i, lane]
    step, shrink, bonus = _begin(phi, value, value - f[own, lane], reference[action], root, running, constants, u)
    z, high, products = np.empty(LANES), np.full(LANES, -np.inf), _pulled_products(pulled, u)
    for t in range(tiles.shape[0]):
        _times(tiles[t], u, z)
        _settle(z, step, shrink, bonus, f[t], h[t], shut[t], index[t], high)
        if counts.shape[0]:
            _weigh(z, shrink, cross[t], products, counts, constants[4], index[t], high)
    return _first(index, high)


@kernel(signatures=("(f8[::1], i8[::1], i8[::1], i8, f8, " + _STATE, "(f4[::1], i8[::1], i8[::1], i8, f8, " + _STATE))
def pull_sparse(
    data: Table,
    indices: IntArray,
    indptr: IntArray,
    action: int,
    value: float,
    root: FloatArray,
    running: FloatArray,
    constants: FloatArray,
    f: FloatArray,
    h: FloatArray,
    shut: FloatArray,
    index: FloatArray,
    reference: FloatArray,
    cross: FloatArray,
    pulled: FloatArray,
    counts: FloatArray,
) -> int:
    """Do what `pull_dense` does for actions in CSR form."""
    d = root.shape[0]
    u, phi = np.empty(d), np.zeros(d)
    for place in range(indptr[action], indptr[action + 1]):
        phi[indices[place]] += data[place]
    surprise = value - f[action // LANES, action % LANES]
    step, shrink, bonus = _begin(phi, value, surprise, reference[action], root, running, constants, u)
    z, high, products = np.empty(LANES), np.full(LANES, -np.inf), _pulled_products(pulled, u)
    for t in range(f.shape[0]):
        _times_rows(data, indices, indptr, t * LANES, u, z)
        _settle(z, step, shrink, bonus, f[t], h[t], shut[t], index[t], high)
        if counts.shape[0]:
            _weigh(z, shrink, cross[t], products, counts, constants[4], index[t], high)
    return _first(index, high)


@kernel(
    signatures=(
        "(f8[:, :, ::1], i8, Array(f8, 1, 'C', True), f8[::1], b1, i8[::1], f8[::1], " + _STATE,
        "(f4[:, :, ::1], i8, Array(f8, 1, 'C', True), f8[::1], b1, i8[::1], f8[::1], " + _STATE,
    )
)
def play_dense(
    tiles: Table,
    action: int,
    mean: FloatArray,
    noise: FloatArray,
    once: bool,
    asked: IntArray,
    rewards: FloatArray,
    root: FloatArray,
    running: FloatArray,
    constants: FloatArray,
    f: FloatArray,
    h: FloatArray,
    shut: FloatArray,
    index: FloatArray,
    reference: FloatArray,
    cross: FloatArray,
    pulled: FloatArray,
    counts: FloatArray,
) -> tuple[int, int]:
    """Play rounds from ``action`` on, with rewards ``mean`` plus ``noise``, until the noise is used up or a refresh is due.

    Each action is closed after its pull if ``once``. Returns the number of rounds and the next action; what was asked and answered is
    written into ``asked`` and ``rewards``.
    """
    for i in range(noise.shape[0]):
        asked[i], rewards[i] = action, mean[action] + noise[i]
        if once:
            shut[action // LANES, action % LANES] = -np.inf
        action = pull_dense(tiles, action, rewards[i], root, running, constants, f, h, shut, index, reference, cross, pulled, counts)
        if running[DUE] > 0.0:
            return i + 1, action
    return noise.shape[0], action
