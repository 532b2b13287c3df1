"""Recomputation of a certificate from the data, apart from the code that found it.

Plain numpy, and no optimiser: the multipliers stored in the certificate prove their bounds whatever their origin, one factorisation each.
Nothing stored is believed; what the data give is compared with what is claimed.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.spectral import largest_eigenvalue_upper
from algos.testable_halfspaces import bounds
from algos.testable_halfspaces._geometry import TINY_SQUARE, length_of
from algos.testable_halfspaces._push import combined_form, rounding
from algos.testable_halfspaces._sos import form_bound
from algos.testable_halfspaces.disagreement import COUNT_SLACK, majorants
from algos.testable_halfspaces.quartic_forms import spectral_supremum, svec

__all__ = ["Plain", "PlainBand", "cone_count", "plain_view", "push_at", "push_limit_at", "squares"]

FloatArray = npt.NDArray[np.float64]

_ROWS = 4096
_U = 2.0**-53


@dataclass(frozen=True, eq=False)
class Plain:
    """Rows seen from w: coordinates in the complement of those that can matter.

    Attributes
    ----------
    n : int
        All rows.
    t, blur : ndarray of shape (n,)
        Margins, and the size up to which their sign is not certain, of all rows.
    kept : ndarray of shape (m,)
        Numbers of the rows that lie in the band or can lie in the cone.
    z, rho, reach : ndarray of shape (m, k) and (m,)
        Coordinates of the kept rows, their lengths, and the lengths as the search takes them: from a difference of squares, and hence a
        little too long.
    frame : ndarray of shape (d + lift, k)
        Orthonormal basis that the coordinates of mapped rows refer to.
    """

    n: int
    t: FloatArray
    blur: FloatArray
    kept: npt.NDArray[np.intp]
    z: FloatArray
    rho: FloatArray
    reach: FloatArray
    frame: FloatArray

    @property
    def sure(self) -> npt.NDArray[np.bool_]:
        """Rows whose side is certain."""
        return np.asarray(np.abs(self.t) > self.blur)


def plain_view(source: RowSource, w: FloatArray, lift: bool, transform: FloatArray | None, half_width: float, angle: float) -> Plain:
    """Project rows by an orthonormal basis from a QR factorisation; keep those within the half width or the angle."""
    T = np.eye(w.size) if transform is None else transform
    normal = w if transform is None else np.linalg.solve(T, w)
    length = float(np.linalg.norm(normal))
    frame = np.linalg.qr(np.column_stack([normal / length, np.eye(w.size)]))[0][:, 1:]
    along = w / length
    roundings = (source.n_features + 2) * _U
    tangent = math.tan(angle) if angle < math.pi / 2.0 else math.inf
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    for block in source.blocks(_ROWS):
        rows = np.asarray(block.X, dtype=np.float64)
        rows = np.column_stack([rows, np.ones(len(rows))]) if lift else rows
        t, image = rows @ along, rows @ T
        square = np.sum(image * image, axis=1) + (w.size + 2) * TINY_SQUARE
        reach = np.sqrt(np.maximum(square - t * t, 0.0) + 8.0 * roundings * square)
        lengths = np.sqrt(np.sum(rows * rows, axis=1) + (w.size + 2) * TINY_SQUARE)
        blur = 4.0 * roundings * lengths * length_of(along)
        kept = np.flatnonzero(np.abs(t) <= np.maximum(half_width, reach * (tangent * (1.0 + 1e-12)) + blur))
        z = image[kept] @ frame
        parts.append((t, blur, kept + block.start, z, np.sqrt(np.sum(z * z, axis=1)), reach[kept]))
    t, blur, kept, z, rho, reach = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Plain(t.size, t, blur, kept, z, rho, reach, frame)


def squares(z: FloatArray, weights: FloatArray) -> FloatArray:
    """Return ``sum weights F F^T`` for the quadratic features F of the rows."""
    i, j = np.triu_indices(z.shape[1])
    factor = np.where(i == j, 1.0, math.sqrt(2.0))
    total = np.zeros((i.size, i.size))
    for start in range(0, len(z), _ROWS):
        rows = z[start : start + _ROWS]
        features = rows[:, i] * rows[:, j] * factor
        total += (features * weights[start : start + _ROWS, None]).T @ features
    return (total + total.T) / 2.0


@dataclass(frozen=True, eq=False)
class PlainBand:
    """Rows of the band, coordinates in units of the stored scale."""

    n: int
    t: FloatArray
    psi: FloatArray
    z: FloatArray
    rho: FloatArray
    light: npt.NDArray[np.bool_]


def push_at(
    band: PlainBand,
    *,
    scale: float,
    edges: FloatArray,
    tau: float,
    advantage: float,
    variant: str,
    lam: float,
    shift: FloatArray | None = None,
) -> float:
    """Return LB(tau) of the stored variant, proved by the stored multiplier and shift."""
    if variant == "norm":
        return _norm_push(band, scale, tau, advantage)
    form = _quartic_form(band, scale, edges, tau, advantage)
    if form is None:
        return -math.inf
    if shift is None:
        return _quartic_push(form, lam)
    constant, omega, size = form
    if shift.shape != omega.shape or not np.all(np.isfinite(shift)):
        return -math.inf
    shifted = (constant, omega + shift, size + 2.0 * float(np.linalg.norm(shift)))
    return _quartic_push(shifted, lam) - form_bound(shift, band.z.shape[1])


def push_limit_at(band: PlainBand, *, scale: float, edges: FloatArray, tau: float, advantage: float) -> float:
    """Return the better variant of LB at a large angle; its multiplier is not stored, and found anew."""
    if not band.psi.size:
        return -math.inf
    best = _norm_push(band, scale, tau, advantage)
    if not edges.size:
        return best
    form = _quartic_form(band, scale, edges, tau, advantage)
    if form is None:
        return best
    return max(best, _quartic_push(form, spectral_supremum(form[1], band.z.shape[1])[1]))


def _norm_push(band: PlainBand, scale: float, tau: float, advantage: float) -> float:
    constant, A = _apart(band, np.ones(band.light.size, dtype=bool), scale, tau, advantage)
    size = constant + float(np.abs(A).sum())
    return -largest_eigenvalue_upper(-(A + A.T) / 2.0) - constant - rounding(band.z.shape[1]) / 4.0 * size


def _apart(band: PlainBand, chosen: npt.NDArray[np.bool_], scale: float, tau: float, advantage: float) -> tuple[float, FloatArray]:
    """Return constant and quadratic form of rows under the quadratic minorants."""
    z, psi = band.z[chosen], band.psi[chosen]
    p0, p2 = bounds.norm_minorant(c=band.t[chosen] / (scale * tau), norm=band.rho[chosen], advantage=advantage)
    return float(psi @ p0) / band.n, (z * (psi * p2)[:, None]).T @ z / band.n


def _quartic_form(band: PlainBand, scale: float, edges: FloatArray, tau: float, advantage: float) -> tuple[float, FloatArray, float] | None:
    """Return constant, form and size of the quartic minorants; None if a row lies beyond the last edge: not the edges of this band."""
    light, k = band.light, band.z.shape[1]
    constant, A = _apart(band, ~light, scale, tau, advantage)
    place = np.searchsorted(edges, band.t[light])
    if np.any(place == edges.size):
        return None
    q0, q2, q4 = (coefficient[place] for coefficient in bounds.quartic_minorant(c=edges / (scale * tau), advantage=advantage))
    z, weight = band.z[light], band.psi[light] / band.n
    omega = combined_form(squares(z, weight * q4), A + (z * (weight * q2)[:, None]).T @ z, k)
    constant += float(weight @ q0)
    return constant, omega, abs(constant) + float(weight @ np.abs(q0)) + float(np.linalg.norm(A)) * k + 2.0 * float(np.linalg.norm(omega))


def _quartic_push(form: tuple[float, FloatArray, float], lam: float) -> float:
    constant, omega, size = form
    k = (math.isqrt(8 * len(omega) + 1) - 1) // 2
    e = svec(np.eye(k))
    supremum = lam + largest_eigenvalue_upper(omega - lam * np.outer(e, e))
    return float(-constant - supremum - rounding(len(omega)) / 4.0 * size)


def cone_count(
    rows: Plain, counted: npt.NDArray[np.bool_], theta: float, *, method: str, scale: float, multiplier: float, lam: float
) -> int:
    """Return how many counted rows a halfspace within the angle may classify differently, by the stored method and multipliers."""
    n, k = rows.n, rows.z.shape[1]
    if theta >= math.pi / 2.0:
        return n
    tangent = math.tan(theta)
    margins = rows.t[rows.kept]
    inside = counted[rows.kept] & (np.abs(margins) <= rows.reach * (tangent * (1.0 + 1e-12)) + rows.blur[rows.kept])
    m = int(np.count_nonzero(inside))
    if method == "count" or m == 0:
        return m
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # rows that overflow in units of the others are capped
        t, z = margins[inside], rows.z[inside] / scale
        a, rho2 = np.abs(t) / (tangent * scale), (rows.rho[inside] / scale) ** 2
    near, far, capped, (c0, c1, c2), (c, e) = majorants(a, rho2, k, quartic=method == "mixed")
    total = float(np.count_nonzero(capped))
    if np.any(near):
        signed = z[near] * np.where(t[near] < 0.0, -1.0, 1.0)[:, None]
        C, b = (signed * c2[near, None]).T @ signed, c1[near] @ signed
        total += max(_dual(multiplier, (C + C.T) / 2.0, b) + float(c0[near].sum()), 0.0)
    if np.any(far):
        unit = svec(np.eye(k))
        cross = svec((z[far] * (c * e)[far, None]).T @ z[far])
        omega = squares(z[far], c[far]) + np.outer(cross, unit) + np.outer(unit, cross) + float(c[far] @ e[far] ** 2) * np.outer(unit, unit)
        total += max(lam + largest_eigenvalue_upper(omega - lam * np.outer(unit, unit)), 0.0)
    return min(math.floor(min(total, n) + COUNT_SLACK / 2.0 * n), m)


def _dual(multiplier: float, C: FloatArray, b: FloatArray) -> float:
    """Return ``m + b (m I - C)^-1 b``, at least the maximum of ``v C v - 2 b v`` on the sphere if m exceeds every eigenvalue."""
    try:
        factor = np.linalg.cholesky(multiplier * np.eye(b.size) - C)
    except np.linalg.LinAlgError:
        return math.inf
    half = np.linalg.solve(factor, b)
    return multiplier + float(half @ half)
