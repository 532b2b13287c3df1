r"""Certified suprema of quartic forms over all directions.

For rows :math:`z_i\in\mathbb{R}^k` and weights :math:`c_i` let :math:`\Omega=\frac1n\sum_ic_iF_iF_i^\top` with
:math:`F_i=\operatorname{svec}(z_iz_i^\top)`, the :math:`D=k(k+1)/2` quadratic features. Then
:math:`\frac1n\sum_ic_i\langle v,z_i\rangle^4=x^\top\Omega x` at :math:`x=\operatorname{svec}(vv^\top)`, a unit vector with
:math:`\langle x,e\rangle=1` for :math:`e=\operatorname{svec}(I)`. Dropping the condition that x comes from a v gives

.. math::
    S(\Omega)=\max_{|x|=1,\,\langle x,e\rangle=1}x^\top\Omega x=\min_\lambda\ \lambda+\lambda_{\max}(\Omega-\lambda ee^\top).

Any :math:`\lambda` gives an upper bound, so that a stored one is checked with a single eigenvalue. For Gaussian moments S = 3 exactly,
whereas the plain largest eigenvalue grows with the dimension.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dsyrk

from algos.common.spectral import largest_eigenvalue_upper, maximize_on_sphere, orthonormal_complement
from algos.common.validation import canonical_array, check_option
from algos.testable_halfspaces._quartic_kernels import svec_rows

__all__ = [
    "QuarticBound",
    "feature_count",
    "quartic_gram",
    "quartic_sup_bound",
    "spectral_supremum",
    "spectral_value",
    "svec",
]

FloatArray = npt.NDArray[np.float64]

BLOCK = 1024
"""Rows whose features are made together: they stay in the second-level cache, and the product of a block is one call of BLAS."""

MAX_SOS_FEATURES = 8
"""Dimension up to which the sum-of-squares program is solved: it has some D^2 / 2 variables."""


@dataclass(frozen=True, eq=False)
class QuarticBound:
    """Upper bound on a quartic form over the unit sphere, with what proves it.

    Attributes
    ----------
    value : float
        No direction exceeds it.
    attained : float
        Value at `direction`: the supremum lies in between.
    direction : ndarray of shape (k,)
        Unit vector that the relaxation suggests.
    lam : float
        Multiplier of the relaxation.
    method : {"spectral", "sos"}
    shift : ndarray of shape (D, D) or None
        For ``"sos"``: a matrix whose quartic form vanishes, added to the form before its eigenvalue is taken.
    """

    value: float
    attained: float
    direction: FloatArray
    lam: float
    method: str
    shift: FloatArray | None = None


def feature_count(k: int) -> int:
    """Return the number of quadratic features of k variables, ``k (k + 1) / 2``.

    Examples
    --------
    >>> feature_count(3)
    6
    """
    return k * (k + 1) // 2


def svec(A: npt.ArrayLike) -> FloatArray:
    r"""Return the upper triangle of a symmetric matrix row by row, off-diagonal entries times :math:`\sqrt2`.

    Inner products are kept: ``svec(A) @ svec(B)`` is the trace of ``A @ B``.

    Parameters
    ----------
    A : array-like of shape (k, k)
        Symmetric matrix.

    Returns
    -------
    ndarray of shape (k (k + 1) / 2,)

    Examples
    --------
    >>> svec([[1.0, 2.0], [2.0, 5.0]]).round(4).tolist()
    [1.0, 2.8284, 5.0]
    """
    A = np.asarray(A, dtype=np.float64)
    i, j = np.triu_indices(A.shape[0])
    return np.asarray(A[i, j] * np.where(i == j, 1.0, math.sqrt(2.0)))


def smat(x: FloatArray, k: int) -> FloatArray:
    """Return the symmetric matrix whose svec is x."""
    i, j = np.triu_indices(k)
    A = np.zeros((k, k))
    A[i, j] = x / np.where(i == j, 1.0, math.sqrt(2.0))
    return A + np.triu(A, 1).T


def quartic_gram(Z: FloatArray, weights: FloatArray) -> FloatArray:
    r"""Return :math:`\sum_ic_iF_iF_i^\top`.

    Parameters
    ----------
    Z : ndarray of shape (n, k), float64
        Rows.
    weights : ndarray of shape (n,)
        Nonnegative weights.

    Returns
    -------
    ndarray of shape (D, D)

    Notes
    -----
    :math:`nD^2` operations, in blocks of 1024 rows.

    Examples
    --------
    >>> quartic_gram(np.array([[2.0]]), np.array([0.25])).tolist()
    [[4.0]]
    """
    Z = np.ascontiguousarray(Z)
    roots = np.sqrt(weights)
    D = feature_count(Z.shape[1])
    triangle = np.zeros((D, D), order="F")
    features = np.empty((min(BLOCK, max(len(Z), 1)), D))
    for start in range(0, len(Z), BLOCK):
        rows = Z[start : start + BLOCK]
        part = features[: len(rows)]
        svec_rows(rows, roots[start : start + BLOCK], part)
        triangle = add_own_product(triangle, part)
    return both_triangles(triangle)


def add_own_product(triangle: FloatArray, rows: FloatArray) -> FloatArray:
    """Add ``rows.T @ rows`` to the upper triangle of a column-major matrix, in place where BLAS can; the lower one is left alone."""
    return np.asarray(dsyrk(1.0, rows.T, beta=1.0, c=triangle, overwrite_c=1))


def both_triangles(triangle: FloatArray) -> FloatArray:
    """Return the symmetric matrix of an upper triangle, row-major.

    Examples
    --------
    >>> both_triangles(np.array([[1.0, 2.0], [0.0, 3.0]])).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    return np.ascontiguousarray(np.triu(triangle) + np.triu(triangle, 1).T)


def spectral_supremum(omega: FloatArray, k: int) -> tuple[float, float, FloatArray]:
    r"""Return :math:`S(\Omega)`, its multiplier :math:`\lambda`, and the maximiser x.

    With :math:`x=e/k+y`, y orthogonal to e, :math:`|y|^2=1-1/k`, it is a quadratic function on a sphere.

    Parameters
    ----------
    omega : ndarray of shape (D, D)
        Symmetric matrix; need not be positive.
    k : int
        Number of variables, D = k (k + 1) / 2.

    Returns
    -------
    value : float
    lam : float
    maximiser : ndarray of shape (D,)

    Notes
    -----
    One eigendecomposition of size D - 1.

    Examples
    --------
    >>> value, lam, x = spectral_supremum(np.diag([1.0, 1.0, 1.0]) + 2.0 * np.outer([1, 0, 1], [1, 0, 1]), 2)
    >>> round(value, 12), round(lam, 12)
    (3.0, 2.0)
    """
    if k == 1:
        return float(omega[0, 0]), 0.0, np.ones(1)
    e = svec(np.eye(k))
    basis = orthonormal_complement(e)
    along = float(e @ omega @ e) / k
    cross = basis.T @ (omega @ e) / k
    best = maximize_on_sphere(basis.T @ omega @ basis, cross, math.sqrt(1.0 - 1.0 / k))
    lam = (along + k * best.linear - best.multiplier) / k
    return along / k + best.value, lam, e / k + basis @ best.point


def spectral_value(omega: FloatArray, k: int, lam: float) -> float:
    r"""Return :math:`\lambda+\lambda_{\max}(\Omega-\lambda ee^\top)`, an upper bound for every :math:`\lambda`, rounded upwards.

    Examples
    --------
    >>> round(spectral_value(np.eye(3), 2, 0.0), 12)
    1.0
    """
    e = svec(np.eye(k))
    return lam + largest_eigenvalue_upper(omega - lam * np.outer(e, e))


def quartic_sup_bound(
    X: npt.ArrayLike, weights: npt.ArrayLike | None = None, *, method: Literal["spectral", "sos"] = "spectral"
) -> QuarticBound:
    r"""Bound the weighted fourth moment in every direction: :math:`\sup_{|v|=1}\frac1n\sum_ic_i\langle v,x_i\rangle^4`.

    Parameters
    ----------
    X : array-like of shape (n, k)
        Rows.
    weights : array-like of shape (n,), optional
        Weights c, of either sign; ones by default. With weights -1 the bound is minus a lower bound on every fourth moment.
    method : {"spectral", "sos"}, default="spectral"
        ``"spectral"`` is the relaxation of the module's head: one eigendecomposition of size k (k + 1) / 2. ``"sos"`` solves the degree-4
        sum-of-squares program, which is never worse, by cvxpy; for k up to 8.

    Returns
    -------
    QuarticBound

    Raises
    ------
    ValueError
        Weights of another length or not finite, too many columns for ``"sos"``, or moments that overflow.

    Notes
    -----
    Time :math:`nD^2+D^3` with :math:`D=k(k+1)/2`, memory :math:`D^2`.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces import quartic_sup_bound
    >>> X = np.random.default_rng(0).standard_normal((20_000, 4))
    >>> bound = quartic_sup_bound(X)
    >>> 2.9 < bound.attained <= bound.value < 3.3
    True
    """
    rows = canonical_array(X).astype(np.float64, copy=False)
    n, k = rows.shape
    check_option(method, ("spectral", "sos"), name="method")
    c = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if c.shape != (n,) or not np.all(np.isfinite(c)):
        raise ValueError(f"weights has shape {c.shape}, X has {n} rows; give one finite number per row")
    if method == "sos" and k > MAX_SOS_FEATURES:
        raise ValueError(f"X has {k} columns, method='sos' is for at most {MAX_SOS_FEATURES}; use method='spectral'")
    scale = float(np.max(np.abs(rows))) or 1.0
    rows = rows / scale
    with np.errstate(over="ignore", invalid="ignore"):
        power = scale**4 if scale < 1e77 else math.inf
        omega = (quartic_gram(rows, np.maximum(c, 0.0)) - (quartic_gram(rows, np.maximum(-c, 0.0)) if np.any(c < 0.0) else 0.0)) / n
    if not (math.isfinite(power) and np.all(np.isfinite(omega))):
        raise ValueError(f"fourth moments overflow: the largest entry of X is {scale:.3g}; divide X by a constant")
    value, lam, x = spectral_supremum(omega, k)
    direction = np.ascontiguousarray(np.linalg.eigh(smat(x, k))[1][:, -1])
    attained = float(np.mean(c * (rows @ direction) ** 4))
    shift = None
    if method == "sos":
        from algos.testable_halfspaces._sos import sos_shift

        shift, lam = sos_shift(omega, k)
        value = min(value, spectral_value(omega + shift, k, lam))
    value = max(value, attained)  # they may meet; rounding must not turn them around
    shift = None if shift is None else shift * power
    return QuarticBound(float(value * power), float(attained * power), direction, float(lam * power), method, shift)
