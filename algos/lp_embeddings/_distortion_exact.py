"""Extremes of a ratio of two lp norms where they can be known: all rays for p = 1 in up to three dimensions, certified arcs in the plane.

Everywhere the ratio is ``norm(C z) / norm(B z)`` with B of full column rank.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_CHUNK = 2**22  # numbers in a temporary table of products
_PRODUCTS = 2**17  # entries of rows times directions that are held at once: they stay in the cache
_FIRST_ARCS = 64
_MOST_ARCS = 200_000
_ROUNDING = 64.0 * 2.0**-53  # relative error of a computed norm: a sum of rounded powers, added pairwise, and a root


class Extremes(NamedTuple):
    """Smallest and largest ratio with directions that attain them, and proved bounds beyond which no ratio lies."""

    z_min: Array
    z_max: Array
    floor: float
    ceiling: float


def lp_norms(products: Array, p: float) -> Array:
    """Return the lp norm of every row, at any scale."""
    size = np.abs(products)
    largest = size.max(axis=1, initial=0.0)
    unit = np.where(largest > 0.0, largest, 1.0)
    total: Array = largest * np.sum((size / unit[:, None]) ** p, axis=1) ** (1.0 / p)
    return total


def ratios(B: Array, C: Array, directions: Array, p: float) -> Array:
    """Return the ratio of the norms at every direction, a row each."""
    found = np.empty(len(directions))
    step = max(1, _CHUNK // (len(B) + len(C)))
    for k in range(0, len(directions), step):
        z = directions[k : k + step]
        found[k : k + step] = lp_norms(z @ C.T, p) / lp_norms(z @ B.T, p)
    return found


# --- p = 1: the ratio is a quotient of linear functions between the hyperplanes of the rows, so its extremes lie on rays where they meet


def ray_extremes(B: Array, C: Array) -> Extremes:
    """Return the extremes for p = 1 in one, two or three dimensions, exact up to rounding.

    Time O(N log N) in the plane and O(N^2 log N) in space, N rows in both tables together.
    """
    r = B.shape[1]
    if r == 1:
        rays = np.ones((1, 1))
    elif r == 2:
        rays = _planar_rays(B, C)
    else:
        rays = np.vstack([_rays_on_plane(row, B, C) for row in np.vstack([B, C]) if row.any()])
    found = ratios(B, C, rays, 1.0)
    low, high = int(np.argmin(found)), int(np.argmax(found))
    return Extremes(rays[low], rays[high], float(found[low]), float(found[high]))


def _rays_on_plane(row: Array, B: Array, C: Array) -> Array:
    """Return the rays of least and largest ratio in the plane orthogonal to a row."""
    basis = np.linalg.qr(np.column_stack([row, np.eye(3)]))[0][:, 1:3]
    rays: Array = _planar_rays(B @ basis, C @ basis) @ basis.T
    return rays


def _planar_rays(B: Array, C: Array) -> Array:
    """Return the two rays, orthogonal to some row, where the l1 ratio in the plane is least and largest."""
    rows = np.vstack([B, C])
    rows = rows[np.any(rows != 0.0, axis=1)]
    angles = np.sort(_normal_angles(rows))
    quotient = _l1_norms(C, angles) / _l1_norms(B, angles)
    chosen = angles[[int(np.argmin(quotient)), int(np.argmax(quotient))]]
    return np.column_stack([np.cos(chosen), np.sin(chosen)])


def _normal_angles(rows: Array) -> Array:
    """Return angles in [0, pi) of the directions orthogonal to the rows."""
    return np.mod(np.arctan2(rows[:, 0], -rows[:, 1]), math.pi)


def _l1_norms(rows: Array, angles: Array) -> Array:
    """Return ``sum |row . u|`` at every direction u of the sorted angles, from running sums over rows sorted by their normal's angle.

    A row with normal angle t and length l contributes ``l |sin(angle - t)|``: up to its sign, + for the rows already passed, the
    cross product of ``l (cos t, sin t)`` with u.
    """
    normal = _normal_angles(rows)
    order = np.argsort(normal)
    length = np.hypot(rows[:, 0], rows[:, 1])[order]
    vectors = length[:, None] * np.column_stack([np.cos(normal[order]), np.sin(normal[order])])
    passed = np.vstack([np.zeros((1, 2)), np.cumsum(vectors, axis=0)])[np.searchsorted(normal[order], angles, side="right")]
    signed = 2.0 * passed - vectors.sum(axis=0)
    sums: Array = signed[:, 0] * np.sin(angles) - signed[:, 1] * np.cos(angles)
    return np.maximum(sums, 0.0)


# --- any p in the plane


@dataclass(frozen=True)
class _Ends:
    """Values and slopes of both norms at directions, a row each."""

    z: Array
    above: Array
    above_slope: Array
    below: Array
    below_slope: Array

    @classmethod
    def at(cls, angles: Array, B: Array, C: Array, p: float) -> "_Ends":
        z = np.column_stack([np.cos(angles), np.sin(angles)])
        return cls(z, *_value_and_gradient(C, z, p), *_value_and_gradient(B, z, p))

    def take(self, index: npt.NDArray[np.intp]) -> "_Ends":
        return _Ends(*(part[index] for part in (self.z, self.above, self.above_slope, self.below, self.below_slope)))

    def joined(self, other: "_Ends") -> "_Ends":
        names = ("z", "above", "above_slope", "below", "below_slope")
        return _Ends(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))

    @property
    def ratio(self) -> Array:
        quotient: Array = self.above / self.below
        return quotient


def _value_and_gradient(rows: Array, z: Array, p: float) -> tuple[Array, Array]:
    step = max(1, _PRODUCTS // max(len(rows), 1))
    parts = [_part_value_and_gradient(rows, z[first : first + step], p) for first in range(0, len(z), step)]
    return np.concatenate([norms for norms, _ in parts]), np.concatenate([gradients for _, gradients in parts])


def _part_value_and_gradient(rows: Array, z: Array, p: float) -> tuple[Array, Array]:
    products = z @ rows.T
    norms = lp_norms(products, p)
    unit = np.where(norms > 0.0, norms, 1.0)[:, None]
    gradients: Array = (np.sign(products) * (np.abs(products) / unit) ** (p - 1.0)) @ rows
    return norms, gradients


def arc_extremes(B: Array, C: Array, p: float, *, tol: float = 1e-10) -> Extremes:
    """Return the extremes in the plane for any p, attained within ``tol`` (relative) of proved bounds.

    Both norms are convex: on the segment between two directions each lies below its chord and above its tangents at the ends. The
    quotient of a chord and two tangents is largest at an end or where the tangents meet, which bounds the ratio on the whole arc, with an
    error of second order in its length. Arcs whose bound does not exceed what is attained are dropped, the others are halved. For
    p = 1 the norms are linear between normals of rows, and the bounds are exact on the arcs between those.
    """
    flipped = _largest_on_arcs(C, B, p, tol) if np.linalg.matrix_rank(C) == 2 else None
    top, ceiling = _largest_on_arcs(B, C, p, tol)
    if flipped is None:  # some direction is lost altogether
        lost = np.linalg.svd(C, full_matrices=True)[2][-1] if len(C) else np.array([1.0, 0.0])
        return Extremes(lost, top, 0.0, ceiling)
    return Extremes(flipped[0], top, 1.0 / flipped[1], ceiling)


def _largest_on_arcs(B: Array, C: Array, p: float, tol: float) -> tuple[Array, float]:
    """Return a direction of nearly the largest ratio, and a proved upper bound on all ratios."""
    angles = np.linspace(0.0, math.pi, _FIRST_ARCS + 1)
    if p == 1.0:
        angles = np.union1d(angles, _normal_angles(np.vstack([B, C])))
    ends = _Ends.at(angles, B, C, p)
    best = int(np.argmax(ends.ratio))
    z_best, attained = ends.z[best], float(ends.ratio[best])
    left, right = ends.take(np.arange(len(angles) - 1)), ends.take(np.arange(1, len(angles)))
    low, high = angles[:-1], angles[1:]
    settled, seen = attained, len(angles)
    while True:
        bound = _arc_bounds(left, right)
        open_ = np.flatnonzero((bound > (1.0 + tol) * attained) & (high - low > 1e-12))
        closed = np.delete(bound, open_)
        settled = max(settled, float(closed.max(initial=0.0)))
        if not open_.size or seen > _MOST_ARCS:
            top = max(settled, float(bound[open_].max(initial=0.0)), attained)
            return z_best, top * (1.0 + _ROUNDING)
        low, high = low[open_], high[open_]
        middle = 0.5 * (low + high)
        seen += len(middle)
        between = _Ends.at(middle, B, C, p)
        best = int(np.argmax(between.ratio))
        if between.ratio[best] > attained:
            z_best, attained = between.z[best], float(between.ratio[best])
        left, right = left.take(open_).joined(between), between.joined(right.take(open_))
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])


def _arc_bounds(left: _Ends, right: _Ends) -> Array:
    """Bound the ratio on the arcs between pairs of directions from above."""
    chord = right.z - left.z
    rise = np.einsum("ij,ij->i", left.below_slope, chord)  # tangent at the left end: below + s * rise
    fall = np.einsum("ij,ij->i", right.below_slope, chord)  # tangent at the right end: below - (1 - s) * fall
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = (right.below - fall - left.below) / (rise - fall)
    meet = np.where(np.isfinite(meet), np.clip(meet, 0.0, 1.0), 0.0)
    lowest = np.maximum(left.below + meet * rise, right.below - (1.0 - meet) * fall)
    between = (1.0 - meet) * left.above + meet * right.above
    with np.errstate(divide="ignore"):
        inside = np.where(lowest > 0.0, between / lowest, np.inf)
    bound: Array = np.maximum(np.maximum(left.ratio, right.ratio), inside)
    return bound
