r"""Designs: weights on rows that make the least informative direction as informative as possible, and whole numbers in their place.

For rows :math:`z_1,\dots,z_n` of rank r and weights p that add up to 1, let :math:`V(p)=\sum_ip_iz_iz_i^\top`. Weights that maximise
:math:`\ln\det V(p)` also minimise the largest variance :math:`g(p)=\max_iz_i^\top V(p)^{-1}z_i`, which is then r (Kiefer and Wolfowitz).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

from algos.common.kernels import kernel
from algos.common.validation import check_option, check_range

__all__ = ["Descent", "design_descent", "inverse_factor", "reduce_support", "round_allocation"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_STEPS_PER_RANK = 50  # rank-one updates between two factorisations, as a multiple of the rank: their rounding stays near 1e-12
_DEPENDENT = 1e-11  # what is smaller than this, relative to the largest, is rounding


@dataclass(frozen=True, eq=False)
class Descent:
    """Where :func:`design_descent` ended.

    Attributes
    ----------
    weights : ndarray of shape (n,)
        Not negative, sum 1.
    variances : ndarray of shape (n,)
        :math:`z_i^T V^{-1} z_i`, computed from the weights.
    n_steps : int
        Steps taken.
    converged : bool
        Whether the largest variance is at most (1 + tol) r.
    """

    weights: FloatArray
    variances: FloatArray
    n_steps: int
    converged: bool


def design_descent(Z: FloatArray, weights: FloatArray, *, tol: float, max_iter: int) -> Descent:
    r"""Improve a design by steps towards the row of largest variance or away from the weighted row of smallest variance.

    A step replaces p by :math:`(1-\lambda)p+\lambda e_j` with the :math:`\lambda` that maximises the determinant,
    :math:`\lambda=(h_j-r)/((h_j-1)r)`, cut where a weight would become negative. Of the two candidates the one further from r is taken.

    Parameters
    ----------
    Z : ndarray of shape (n, r), float64, C-contiguous
        Rows of full rank, best whitened.
    weights : ndarray of shape (n,)
        Where to start: not negative, sum 1, the rows of positive weight of full rank.
    tol : float
        Stop when :math:`g\le(1+\text{tol})\,r`.
    max_iter : int
        Most steps.

    Returns
    -------
    Descent

    Raises
    ------
    numpy.linalg.LinAlgError
        The rows that have weight at the start do not have full rank.

    Notes
    -----
    A step costs one pass over Z. Variances are kept by rank-one updates and recomputed after every 50 r steps and at the end.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.designs import design_descent
    >>> Z = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.1, 0.0]])
    >>> found = design_descent(Z, np.full(4, 0.25), tol=1e-6, max_iter=1000)
    >>> found.weights.round(3).tolist(), round(float(found.variances.max()), 5)
    ([0.5, 0.5, 0.0, 0.0], 2.0)
    """
    p = np.array(weights, dtype=np.float64)
    if Z.shape[1] == 1:
        return _one_column(Z, p, tol)
    taken = 0
    while True:
        p /= p.sum()
        factor = inverse_factor(Z, p)
        rows = Z @ factor
        h = np.einsum("ij,ij->i", rows, rows)
        done = bool(h.max() <= (1.0 + tol) * Z.shape[1])
        if done or taken >= max_iter:
            return Descent(p, h, taken, done)
        limit = min(_STEPS_PER_RANK * Z.shape[1], max_iter - taken)
        taken += _descend(Z, p, h, factor @ factor.T, tol, limit)


def inverse_factor(Z: FloatArray, weights: FloatArray) -> FloatArray:
    r"""Return F (r, r) with :math:`V(p)^{-1}=FF^\top`, so that variances are squared lengths of the rows of ``Z @ F``.

    Parameters
    ----------
    Z : ndarray of shape (n, r)
        Rows.
    weights : ndarray of shape (n,)
        Weights, not negative.

    Returns
    -------
    ndarray of shape (r, r)

    Raises
    ------
    numpy.linalg.LinAlgError
        The rows that have weight do not have full rank.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.designs import inverse_factor
    >>> F = inverse_factor(np.eye(2), np.array([0.25, 0.75]))
    >>> np.diag(F @ F.T).round(9).tolist()
    [4.0, 1.333333333]
    """
    kept = np.flatnonzero(weights)
    scaled = Z[kept] * np.sqrt(weights[kept])[:, None]
    # triangular factor of the rows themselves: their Gram matrix would square the condition number
    values, right = np.linalg.svd(scaled, full_matrices=False)[1:]
    if values.size < Z.shape[1] or not values[-1] > len(scaled) * np.finfo(np.float64).eps * values[0]:
        raise np.linalg.LinAlgError("the rows that have weight do not span the others; start from more rows")
    return np.ascontiguousarray(right.T / values)


def _one_column(Z: FloatArray, p: FloatArray, tol: float) -> Descent:
    """Return the optimum for rank 1, where a full step would leave nothing to divide by."""
    squares = Z[:, 0] ** 2
    h = squares / float(p @ squares)
    if h.max() <= 1.0 + tol:
        return Descent(p, h, 0, True)
    best = int(np.argmax(squares))
    p = np.zeros_like(p)
    p[best] = 1.0
    return Descent(p, squares / squares[best], 1, True)


@kernel(signatures=("(f8[:, ::1], f8[::1], f8[::1], f8[:, ::1], f8, i8)",), fastmath={"reassoc", "contract"})
def _descend(Z: FloatArray, p: FloatArray, h: FloatArray, inverse: FloatArray, tol: float, limit: int) -> int:
    """Take steps in place until the largest variance is small enough or `limit` is reached, and return their number.

    Sums may be reassociated: the caller recomputes the variances and judges by those.
    """
    n, r = Z.shape
    u = np.empty(r)
    for step in range(limit):
        high, low = 0, -1
        for i in range(n):
            if h[i] > h[high]:
                high = i
            if p[i] > 0.0 and (low < 0 or h[i] < h[low]):
                low = i
        if h[high] <= (1.0 + tol) * r:
            return step
        if h[high] - r >= r - h[low]:
            j = high
            lam = (h[j] - r) / ((h[j] - 1.0) * r)
        else:
            j = low
            drop = -p[j] / (1.0 - p[j])
            lam = drop if h[j] <= 1.0 else max((h[j] - r) / ((h[j] - 1.0) * r), drop)
        dropped = j != high and lam == -p[j] / (1.0 - p[j])
        for i in range(n):
            p[i] *= 1.0 - lam
        p[j] = 0.0 if dropped else p[j] + lam
        for a in range(r):
            total = 0.0
            for b in range(r):
                total += inverse[a, b] * Z[j, b]
            u[a] = total
        c = lam / (1.0 - lam + lam * h[j])
        for a in range(r):
            for b in range(r):
                inverse[a, b] = (inverse[a, b] - c * u[a] * u[b]) / (1.0 - lam)
        for i in range(n):
            product = 0.0
            for b in range(r):
                product += Z[i, b] * u[b]
            h[i] = (h[i] - c * product * product) / (1.0 - lam)
    return limit


def reduce_support(Z: FloatArray, weights: FloatArray) -> FloatArray:
    r"""Return weights on at most r (r + 1) / 2 + 1 of the rows with the same sum and the same :math:`V(p)`.

    By Carathéodory's theorem: the pairs :math:`(z_iz_i^\top,1)` live in a space of that dimension, so more of them are dependent, and
    weights can be moved along the dependence until one of them is 0. Rows are merged into groups first and only groups of positive weight
    opened again, so that the time is :math:`O(nr^2)` plus that of some dense eliminations.

    Parameters
    ----------
    Z : ndarray of shape (n, r)
        Rows, best whitened.
    weights : ndarray of shape (n,)
        Weights, not negative.

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.designs import reduce_support
    >>> angles = np.linspace(0.0, np.pi, 60, endpoint=False)
    >>> Z = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> few = reduce_support(Z, np.full(60, 1.0 / 60.0))
    >>> int(np.count_nonzero(few)), bool(np.allclose(Z.T @ (few[:, None] * Z), np.eye(2) / 2))
    (3, True)
    """
    r = Z.shape[1]
    most = r * (r + 1) // 2 + 1
    p = np.array(weights, dtype=np.float64)
    kept = np.flatnonzero(p)
    while True:
        groups = np.array_split(kept, min(kept.size, 2 * most))
        upper = np.triu_indices(r)
        moments = np.empty((len(groups), most))
        for row, group in zip(moments, groups, strict=True):
            part = Z[group] * p[group, None]
            row[:-1] = (Z[group].T @ part)[upper]
            row[-1] = p[group].sum()
        factors = _eliminate(moments)
        for factor, group in zip(factors, groups, strict=True):
            p[group] *= factor
        left = np.flatnonzero(p)
        if left.size == kept.size:  # independent, as far as rounding shows
            return p
        kept = left


def _eliminate(moments: FloatArray) -> FloatArray:
    """Return factors, not negative and as few of them positive as the width of `moments`, that leave the sum of the rows as it is."""
    m = len(moments)
    unit = np.linalg.norm(moments, axis=1)
    basis, triangle = qr(moments / unit[:, None], pivoting=True)[:2]  # several times faster than singular values
    sizes = np.abs(triangle.diagonal())
    rank = int(np.count_nonzero(sizes > _DEPENDENT * sizes[0]))
    null = basis[:, rank:].T  # combinations of rows of length one that vanish; orthonormal, and kept so
    factors = np.ones(m)
    while len(null):
        v = null[0] / unit
        v = v if v.max() >= -v.min() else -v
        rising = np.flatnonzero(v > _DEPENDENT * v.max())  # what is smaller is rounding, and no factor may be divided by it
        first = rising[np.argmin(factors[rising] / v[rising])]
        factors = np.maximum(factors - factors[first] / v[first] * v, 0.0)
        factors[first] = 0.0
        null = _without(null, first)
    return factors


def _without(null: FloatArray, column: int) -> FloatArray:
    """Return orthonormal rows that span what is 0 in the column, by a reflection that moves the column into the first row."""
    mirror = null[:, column].copy()
    mirror[0] += math.copysign(float(np.linalg.norm(mirror)), mirror[0])
    square = float(mirror @ mirror)
    if square > 0.0:
        null = null - np.outer(2.0 / square * mirror, mirror @ null)
    null = null[1:]
    null[:, column] = 0.0
    return null


def round_allocation(weights: npt.ArrayLike, n: int, *, method: str = "ceil") -> IntArray:
    r"""Turn weights into whole numbers of repetitions.

    Parameters
    ----------
    weights : array-like of shape (k,)
        Not negative; only ratios matter. m of them are positive.
    n : int
        Number of repetitions wanted.
    method : {"ceil", "efficient"}, default="ceil"
        ``"ceil"`` takes :math:`\lceil np_i\rceil`: at least n and less than n + m repetitions, and no variance is larger than that of n
        times the design. ``"efficient"`` takes exactly n, Pukelsheim's efficient apportionment: first
        :math:`\lceil(n-m/2)p_i\rceil`, then one more where :math:`n_i/p_i` is smallest, or one less where :math:`(n_i-1)/p_i` is largest,
        until the sum is right; among equals the lowest index. It needs :math:`n\ge m`.

    Returns
    -------
    ndarray of int64, of shape (k,)
        At least 1 where the weight is positive, 0 elsewhere.

    Raises
    ------
    ValueError
        Weights that are negative, not finite or all 0; n < 1, or n < m for ``"efficient"``.

    Examples
    --------
    >>> from algos.common.designs import round_allocation
    >>> round_allocation([0.5, 0.3, 0.2, 0.0], 7).tolist()
    [4, 3, 2, 0]
    >>> round_allocation([0.5, 0.3, 0.2, 0.0], 7, method="efficient").tolist()
    [3, 2, 2, 0]
    """
    p = np.asarray(weights, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0.0) & np.isfinite(p)) or not np.any(p):
        raise ValueError(f"weights of shape {p.shape} must be a vector of finite numbers, none negative, not all 0")
    check_range(n, name="n", low=1, integer=True)
    check_option(method, ("ceil", "efficient"), name="method")
    p = p / p.max()
    p /= p.sum()
    kept = np.flatnonzero(p)
    counts = np.zeros(p.size, dtype=np.int64)
    if method == "ceil":
        counts[kept] = np.maximum(_ceil(n * p[kept]), 1)
        return counts
    if n < kept.size:
        raise ValueError(f"n={n} is less than the {kept.size} positive weights; give at least as many, or use method='ceil'")
    counts[kept] = _apportioned(p[kept], n)
    return counts


def _ceil(shares: FloatArray) -> IntArray:
    """Return the next whole numbers; a share that exceeds one by rounding alone counts as it."""
    nearest = np.rint(shares)
    whole = np.abs(shares - nearest) <= 1e-12 * np.maximum(shares, 1.0)
    return np.where(whole, nearest, np.ceil(shares)).astype(np.int64)


def _apportioned(p: FloatArray, n: int) -> IntArray:
    counts = np.maximum(_ceil((n - p.size / 2.0) * p), 1)
    while counts.sum() < n:
        counts[np.argmin(counts / p)] += 1
    while counts.sum() > n:
        counts[np.argmax(np.where(counts > 1, (counts - 1) / p, -math.inf))] -= 1
    return counts
