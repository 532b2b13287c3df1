"""Largest values over a sphere, with upper bounds that survive rounding.

Three small tools of certificates that rest on eigenvalues: the complement of a direction, an upper bound on the largest eigenvalue that is
tested and not merely estimated, and the maximum of a quadratic function over a sphere (a trust-region problem on the boundary).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["SphereMaximum", "largest_eigenvalue_upper", "maximize_on_sphere", "orthonormal_complement"]

FloatArray = npt.NDArray[np.float64]

_U = 2.0**-53
_HARD = 1e-13
"""In the hard case the multiplier stays this far above the largest eigenvalue, relative to the size of the problem; the value is then
too large by as much."""


def orthonormal_complement(w: npt.ArrayLike) -> FloatArray:
    """Return an orthonormal basis of the vectors orthogonal to w.

    Parameters
    ----------
    w : array-like of shape (d,)
        Direction; need not have unit length.

    Returns
    -------
    ndarray of shape (d, d - 1)
        The columns of the Householder reflection that maps w to an axis, without that axis. It depends on w alone.

    Raises
    ------
    ValueError
        w is zero or not finite.

    Examples
    --------
    >>> from algos.common.spectral import orthonormal_complement
    >>> orthonormal_complement([0.0, 2.0]).ravel().tolist()
    [1.0, 0.0]
    """
    v = np.array(w, dtype=np.float64)
    largest = float(np.max(np.abs(v))) if v.size else 0.0
    if v.ndim != 1 or not 0.0 < largest < math.inf:
        raise ValueError(f"w has shape {v.shape} and largest entry {largest!r}; give a vector of finite numbers that are not all zero")
    v /= largest
    v /= np.linalg.norm(v)
    axis = int(np.argmax(np.abs(v)))
    v[axis] += math.copysign(1.0, v[axis])  # no cancellation: the two have the same sign
    reflection = np.eye(v.size) - np.outer(v, v) * (2.0 / (v @ v))
    return np.ascontiguousarray(np.delete(reflection, axis, axis=1))


def largest_eigenvalue_upper(A: npt.ArrayLike) -> float:
    r"""Return a number that is at least the largest eigenvalue, and hardly above it.

    The estimate :math:`\lambda` of a numerical solver plus a few roundings is tested: if the Cholesky factorisation of
    :math:`\lambda I-A` exists, no eigenvalue of A exceeds :math:`\lambda` by more than the backward error of that factorisation, which is
    added. A residual alone could not show that: it says that *some* eigenvalue is near.

    Parameters
    ----------
    A : array-like of shape (m, m)
        Symmetric matrix; the lower triangle is read.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        The matrix is not square, is empty, or has NaN or infinite entries.

    Examples
    --------
    >>> from algos.common.spectral import largest_eigenvalue_upper
    >>> 0 <= largest_eigenvalue_upper([[0.0, 1.0], [1.0, 0.0]]) - 1.0 < 1e-14
    True
    """
    A = np.asarray(A, dtype=np.float64)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or not A.size:
        raise ValueError(f"A has shape {A.shape}; give a square matrix with at least one row")
    if not np.all(np.isfinite(A)):
        raise ValueError("A has NaN or infinite entries; finite numbers are needed")
    m = A.shape[0]
    if m == 1:
        return float(A[0, 0])
    unit = float(np.max(np.abs(A)))
    return 0.0 if unit == 0.0 else unit * _tested_upper(A / unit)


def _tested_upper(A: FloatArray) -> float:
    """Return the bound for a matrix whose largest entry is 1."""
    m = A.shape[0]
    estimate = float(np.linalg.eigvalsh(A)[-1])
    step = 4.0 * m * _U * float(np.linalg.norm(A))
    while step < 2.0 * m:
        upper = estimate + step
        try:
            np.linalg.cholesky(upper * np.eye(m) - A)
        except np.linalg.LinAlgError:
            step *= 4.0
            continue
        return float(upper + 2.0 * (m + 2) * _U * (m * abs(upper) + abs(float(np.trace(A)))))
    return float(m * (1.0 + 4.0 * m * _U))  # no eigenvalue exceeds m times the largest entry


@dataclass(frozen=True, eq=False)
class SphereMaximum:
    """Maximum of a quadratic function over a sphere.

    Attributes
    ----------
    value : float
        The maximum: the value of the dual at `multiplier`, hence not below it up to rounding.
    multiplier : float
        Multiplier of the constraint, at least the largest eigenvalue of the matrix.
    point : ndarray of shape (m,)
        A point of the sphere where the maximum is taken, up to rounding.
    linear : float
        Value of ``b @ point`` in the dual: ``b @ inv(multiplier I - C) @ b``.
    """

    value: float
    multiplier: float
    point: FloatArray
    linear: float


def maximize_on_sphere(C: npt.ArrayLike, b: npt.ArrayLike, radius: float = 1.0) -> SphereMaximum:
    r"""Return the maximum of :math:`v^\top Cv+2b^\top v` over :math:`|v|=r`.

    By strong duality it equals :math:`\min_{\lambda\ge\lambda_{\max}(C)}\ \lambda r^2+b^\top(\lambda I-C)^{-1}b`; the minimiser solves the
    secular equation :math:`|(\lambda I-C)^{-1}b|=r`, or is the largest eigenvalue itself (the hard case: b is orthogonal to its
    eigenvectors and too short).

    Parameters
    ----------
    C : array-like of shape (m, m)
        Symmetric matrix.
    b : array-like of shape (m,)
        Linear part.
    radius : float, default=1.0
        Radius r, positive.

    Returns
    -------
    SphereMaximum

    Raises
    ------
    ValueError
        Shapes that do not fit, entries that are not finite, or a radius that is not positive.

    Notes
    -----
    One symmetric eigendecomposition, O(m^3).

    Examples
    --------
    >>> from algos.common.spectral import maximize_on_sphere
    >>> round(maximize_on_sphere([[1.0, 0.0], [0.0, 0.0]], [0.0, 2.0]).value, 9)
    4.0
    >>> round(maximize_on_sphere([[9.0, 0.0], [0.0, 1.0]], [0.0, 2.0]).value, 9)  # the hard case
    9.5
    """
    C, b = np.asarray(C, dtype=np.float64), np.asarray(b, dtype=np.float64)
    m = b.size
    if C.shape != (m, m) or b.ndim != 1 or m == 0:
        raise ValueError(f"C has shape {C.shape} and b {b.shape}; give a square matrix and a vector of its size")
    if not (0.0 < radius < math.inf):
        raise ValueError(f"radius={radius!r} must be a finite positive number")
    if not (np.all(np.isfinite(C)) and np.all(np.isfinite(b))):
        raise ValueError("C or b has NaN or infinite entries; finite numbers are needed")
    values, vectors = np.linalg.eigh(C)
    return _secular(values, vectors, vectors.T @ b, radius)


def _secular(values: FloatArray, vectors: FloatArray, beta: FloatArray, radius: float) -> SphereMaximum:
    from scipy.optimize import brentq

    gaps = values[-1] - values
    length = float(np.linalg.norm(beta))
    size = max(float(np.max(np.abs(values))), length / radius, np.finfo(float).tiny)
    low, high = _HARD * size, length / radius

    def log_length(log_step: float) -> float:
        return math.log(float(np.linalg.norm(beta / (gaps + math.exp(log_step)))) / radius)

    if high <= low or float(np.linalg.norm(beta / (gaps + low))) <= radius:
        step = low
    else:
        bracket = math.log(low), math.log(high)
        signs = [log_length(end) for end in bracket]  # rounding may have moved the root to an end, or just beyond
        step = (
            low if signs[0] <= 0.0 else high if signs[1] >= 0.0 else math.exp(float(brentq(log_length, *bracket, xtol=1e-15, rtol=1e-15)))
        )
    coordinates = beta / (gaps + step)
    linear = float(beta @ coordinates)
    multiplier = float(values[-1]) + step
    inside = radius * radius - float(coordinates @ coordinates)
    coordinates[-1] += math.copysign(math.sqrt(max(inside + coordinates[-1] ** 2, 0.0)) - abs(coordinates[-1]), coordinates[-1])
    point = vectors @ coordinates
    return SphereMaximum(multiplier * radius * radius + linear, multiplier, point * (radius / float(np.linalg.norm(point))), linear)
