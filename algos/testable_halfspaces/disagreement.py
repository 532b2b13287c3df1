r"""How far two halfspaces at a small angle can disagree on given rows.

A halfspace :math:`w'=\cos\theta\,w+\sin\theta\,Qv` differs from w on a row only if :math:`u_i\le-a_i`, with
:math:`u_i=\operatorname{sign}(t_i)\langle v,z_i\rangle` and :math:`a_i=|t_i|\cot\theta`. Each indicator is replaced by a polynomial
above it. Rows near the hyperplane get a quadratic, whose sum is maximised over v exactly; rows farther away get an even quartic, whose sum
is bounded by the relaxation of `quartic_forms` (up to 60 columns); rows with :math:`a_i>|z_i|` cannot differ and drop out.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.blocks import BLOCK_ROWS
from algos.common.spectral import maximize_on_sphere
from algos.common.validation import check_range
from algos.testable_halfspaces._geometry import View, length_of
from algos.testable_halfspaces.band_statistics import MAX_QUARTIC_DIM
from algos.testable_halfspaces.bounds import QUARTIC_FROM, cantelli_coefficients, quartic_majorant_coefficients
from algos.testable_halfspaces.quartic_forms import BLOCK, quartic_gram, spectral_supremum, svec
from algos.testable_halfspaces.results import TestResult

__all__ = ["DisagreementBound", "cone_bound", "disagreement_bound", "disagreement_test", "whole_count"]

FloatArray = npt.NDArray[np.float64]

COUNT_SLACK = 1e-9
"""Share of the rows by which a bound is raised before it is rounded down to a whole number: covers the rounding of its sums."""

_EDGE = 1e-12
"""Rows that touch the cone up to rounding count as inside."""


@dataclass(frozen=True, eq=False)
class DisagreementBound:
    """Bound on the share of rows on which any halfspace in a cone differs from w.

    Attributes
    ----------
    value : float
        No halfspace within the angle differs on a larger share of the rows; at most 1.
    count : int
        The same as a number of rows.
    n, n_possible : int
        All rows, and rows that some halfspace in the cone classifies differently.
    theta : float
        The angle.
    method : {"mixed", "quadratic", "count", "trivial"}
        Which bound was the smallest.
    direction : ndarray of shape (d,)
        Unit vector orthogonal to w: tilting w towards it maximises the sum of the quadratics (zero if there is none).
    scale : float
        Length by which coordinates were divided.
    multiplier, lam : float
        Multipliers that prove the bounds of the quadratic and of the quartic part; any other multipliers would prove a bound, too.
    """

    value: float
    count: int
    n: int
    n_possible: int
    theta: float
    method: str
    direction: FloatArray
    scale: float = 1.0
    multiplier: float = 0.0
    lam: float = 0.0


def disagreement_bound(X: Any, w: npt.ArrayLike, theta: float) -> DisagreementBound:
    r"""Bound the share of rows on which any homogeneous halfspace at an angle of at most theta differs from that of w.

    Parameters
    ----------
    X : array-like, memmap, dask array or re-iterable of blocks, of shape (n, d)
        Rows; labels are not needed.
    w : array-like of shape (d,)
        Normal of the halfspace.
    theta : float
        Angle in [0, pi]; from pi / 2 on the bound is 1.

    Returns
    -------
    DisagreementBound

    Raises
    ------
    ValueError
        NaN, infinite or huge entries, w zero or of another length, theta outside [0, pi].

    Notes
    -----
    Only rows inside the cone are read in full; each costs :math:`d^4/4` operations at most. For Gaussian rows the bound is
    :math:`0.97\tan\theta`, three times the truth. It need not be monotone in theta; certificates use the least value over larger angles.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces import disagreement_bound
    >>> X = np.random.default_rng(0).standard_normal((20_000, 3))
    >>> bound = disagreement_bound(X, [1.0, 0.0, 0.0], 0.1)
    >>> 0.1 / np.pi < bound.value < 0.12
    True
    """
    theta = check_range(theta, name="theta", low=0.0, high=math.pi)
    return cone_bound(View.of(X, w), theta)


def whole_count(share: float, n: int) -> int:
    """Return a share of n rows as a whole number of rows, so that rounding of the share cannot lose one."""
    return min(math.floor(n * share + COUNT_SLACK * n), n)


def cone_bound(view: View, theta: float, settled: npt.NDArray[np.bool_] | None = None) -> DisagreementBound:
    """Return the bound for rows seen from w; rows that are `settled` are known not to count."""
    n, k = view.n, view.k
    none = np.zeros(view.project.shape[0])
    if k == 0:
        return DisagreementBound(0.0, 0, n, 0, theta, "count", none)
    if theta >= math.pi / 2.0:
        return DisagreementBound(1.0, n, n, n, theta, "trivial", none)
    possible = np.abs(view.t) <= view.rho * (math.tan(theta) * (1.0 + _EDGE)) + view.blur
    if settled is not None:
        possible &= ~settled
    m = int(np.count_nonzero(possible))
    counted = DisagreementBound(m / n, m, n, m, theta, "count", none)
    if m == 0 or theta == 0.0:
        return counted
    cone = _Cone.of(view, possible, theta)
    found = {"quadratic": cone.bound(quartic=False)}
    if k < MAX_QUARTIC_DIM:
        found = {"mixed": cone.bound(quartic=True)} | found
    method = min(found, key=lambda name: found[name].total)
    best = found[method]
    v = view.project @ best.direction
    length = length_of(v)
    direction = v / length if length > 0.0 else v
    if best.total >= m:
        return replace(counted, direction=direction)
    share = best.total / n
    return DisagreementBound(share, whole_count(share, n), n, m, theta, method, direction, cone.scale, best.multiplier, best.lam)


@dataclass(frozen=True, eq=False)
class _Majorised:
    """Bound on the number of rows that differ, and what proves it."""

    total: float
    direction: FloatArray
    multiplier: float
    lam: float


@dataclass(frozen=True, eq=False)
class _Cone:
    """Rows that some halfspace of the cone classifies differently: signed coordinates and distances, both in units of their scale."""

    a: FloatArray
    z: FloatArray
    rho2: FloatArray
    scale: float

    @classmethod
    def of(cls, view: View, possible: npt.NDArray[np.bool_], theta: float) -> "_Cone":
        z = view.coordinates(possible)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # rows that overflow in units of the others are capped
            return cls._scaled(z, view.t[possible], theta)

    @classmethod
    def _scaled(cls, z: FloatArray, t: FloatArray, theta: float) -> "_Cone":
        rho = np.sqrt(np.einsum("ij,ij->i", z, z))
        scale = _cone_scale(np.abs(t) / math.tan(theta), rho, z.shape[1])
        z *= np.where(t < 0.0, -1.0, 1.0)[:, None] / scale
        return cls(np.abs(t) / (math.tan(theta) * scale), z, (rho / scale) ** 2, scale)

    def bound(self, *, quartic: bool) -> _Majorised:
        """Bound the number of rows that differ, with quartics for distant rows or without."""
        near, far, capped, (c0, c1, c2), (c, e) = majorants(self.a, self.rho2, self.z.shape[1], quartic=quartic)
        total = float(np.count_nonzero(capped))
        direction, multiplier, lam = np.zeros(self.z.shape[1]), 0.0, 0.0
        if np.any(near):
            C, line = self._sums(near, c2, c1)
            best = maximize_on_sphere((C + C.T) / 2.0, -line)
            total += max(float(c0[near].sum()) + best.value, 0.0)
            direction, multiplier = best.point, best.multiplier
        if np.any(far):
            value, lam = self._quartic_part(far, c, e)
            total += value
        return _Majorised(total, direction, multiplier, lam)

    def _sums(self, chosen: npt.NDArray[np.bool_], squared: FloatArray, plain: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return weighted sums of z z^T and of z over some rows, in blocks that stay in the cache."""
        k = self.z.shape[1]
        C, line = np.zeros((k, k)), np.zeros(k)
        for start in range(0, len(self.z), BLOCK):
            here = start + np.flatnonzero(chosen[start : start + BLOCK])
            z = self.z[here]
            C += (z * squared[here, None]).T @ z
            line += plain[here] @ z
        return C, line

    def _quartic_part(self, far: npt.NDArray[np.bool_], c: FloatArray, e: FloatArray) -> tuple[float, float]:
        """Bound the sum of quartics over some rows, which are copied a part at a time."""
        k = self.z.shape[1]
        unit = svec(np.eye(k))
        fourth, second = np.zeros((unit.size, unit.size)), np.zeros((k, k))
        for start in range(0, len(self.z), BLOCK_ROWS):
            here = start + np.flatnonzero(far[start : start + BLOCK_ROWS])
            z = self.z[here]
            fourth += quartic_gram(z, c[here])
            second += (z * (c[here] * e[here])[:, None]).T @ z
        cross = svec(second)
        constant = float(c[far] @ (e[far] * e[far]))
        omega = fourth + np.outer(cross, unit) + np.outer(unit, cross) + constant * np.outer(unit, unit)
        value, lam, _ = spectral_supremum(omega, k)
        return max(value, 0.0), lam


def majorants(
    a: FloatArray, rho2: FloatArray, k: int, *, quartic: bool
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_], tuple[FloatArray, ...], tuple[FloatArray, ...]]:
    """Choose a majorant for every row: quadratic, quartic, or the constant 1 where that is smaller on average over directions.

    Returns the three sets of rows, the coefficients of the quadratics and those of the quartics.
    """
    far = (a >= QUARTIC_FROM) & np.isfinite(a) & quartic
    a = np.where(np.isfinite(a), a, 0.0)  # a distance that overflows tells nothing: the constant 1
    c0, c1, c2 = cantelli_coefficients(a=a)
    c, e = np.zeros(a.size), np.zeros(a.size)
    with np.errstate(over="ignore", invalid="ignore"):
        c[far], e[far] = quartic_majorant_coefficients(a=a[far])
        spread = 3.0 * rho2 * (rho2 / (k * (k + 2.0))) + 2.0 * e * rho2 / k + e * e
        mean = np.where(far, c * spread, c0 + c2 * rho2 / k)
    capped = ~(mean < 1.0)
    return ~far & ~capped, far & ~capped, capped, (c0, c1, c2), (c, e)


def _cone_scale(reach: FloatArray, rho: FloatArray, k: int) -> float:
    """Typical length of z over sqrt(k). Long rows are over-represented in the cone, but not among those within reach of a typical row."""
    within = reach <= np.median(rho)
    lengths = rho[within] if np.any(within) else rho
    largest = float(lengths.max())
    if largest == 0.0:
        return 1.0
    return max(largest * float(np.sqrt(np.mean((lengths / largest) ** 2) / k)), np.finfo(float).tiny)


def disagreement_test(
    X: Any,
    w: npt.ArrayLike,
    theta: float,
    *,
    threshold: float = 3.0,
    null_mean: float = math.nan,
    null_sd: float = math.nan,
    p_value: float = math.nan,
) -> TestResult:
    r"""Test whether halfspaces near w differ from it on no more rows than under the target distribution.

    The statistic is the bound of `disagreement_bound` over :math:`\tan\theta`, 0.97 for standard Gaussian rows and small angles.

    Parameters
    ----------
    X : array-like, memmap, dask array or re-iterable of blocks, of shape (n, d)
        Rows.
    w : array-like of shape (d,)
        Normal of the halfspace.
    theta : float
        Angle in (0, pi / 2).
    threshold : float, default=3.0
        Largest value accepted. The default is a fixed slack of three; `calibrate` gives one with an exact level.
    null_mean, null_sd, p_value : float, default=nan
        What a calibration knows about the statistic; reported as they are.

    Returns
    -------
    TestResult
        Its direction is the tilt that maximises the quadratic part.

    Raises
    ------
    ValueError
        As for `disagreement_bound`; or theta not strictly between 0 and pi / 2.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces import disagreement_test
    >>> X = np.random.default_rng(0).standard_normal((20_000, 3))
    >>> disagreement_test(X, [1.0, 0.0, 0.0], 0.1).passed
    True
    >>> X[:4000, 0] *= 1e-3  # a fifth of the rows lie next to the hyperplane
    >>> disagreement_test(X, [1.0, 0.0, 0.0], 0.05).passed
    False
    """
    theta = check_range(theta, name="theta", low=0.0, high=math.pi / 2.0, low_open=True, high_open=True)
    check_range(threshold, name="threshold", low=0.0)
    bound = disagreement_bound(X, w, theta)
    statistic = bound.value / math.tan(theta)
    direction = bound.direction if np.any(bound.direction) else None
    return TestResult("disagreement", statistic, -math.inf, float(threshold), p_value, direction, null_mean, null_sd, bound.n)
