"""Places for the names at the ends of curves."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["label_shifts"]

PANEL_HEIGHT = 245.0  # points, of the axes of a figure four inches high
GAP = 12.0  # points from line to line


def label_shifts(ends: ArrayLike, limits: tuple[float, float], *, gap: float = GAP, linear: bool = False) -> NDArray[np.float64]:
    """Return by how many points to shift each name upwards so that names do not overlap.

    Parameters
    ----------
    ends : array-like of shape (k,)
        Values at the curves' ends; NaN for a curve without a name.
    limits : tuple of float
        Limits of the axis.
    gap : float
        Least distance of two names in points.
    linear : bool
        Whether the axis is linear, not logarithmic.

    Returns
    -------
    ndarray of shape (k,)
        Shifts that keep the order and, within a group that had to be moved apart, the mean.

    Examples
    --------
    >>> label_shifts([10.0, 10.0, 1000.0], (1.0, 1e4), gap=10.0).tolist()
    [-5.0, 5.0, 0.0]
    """
    values = np.asarray(ends, dtype=np.float64)
    shares = (values - limits[0]) / (limits[1] - limits[0]) if linear else np.log(values / limits[0]) / np.log(limits[1] / limits[0])
    places = PANEL_HEIGHT * shares
    order = [int(k) for k in np.argsort(places, kind="stable") if np.isfinite(places[k])]
    groups: list[list[int]] = []
    for k in order:
        groups.append([k])
        while len(groups) > 1 and _bottom(groups[-1], places, gap) - _top(groups[-2], places, gap) < gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    shifts = np.zeros(places.size)
    for group in groups:
        for rank, k in enumerate(group):
            shifts[k] = _bottom(group, places, gap) + rank * gap - places[k]
    return shifts


def _bottom(group: list[int], places: NDArray[np.float64], gap: float) -> float:
    """Return where the lowest name of a group goes: names are spread about their mean."""
    return float(np.mean(places[group])) - gap * (len(group) - 1) / 2.0


def _top(group: list[int], places: NDArray[np.float64], gap: float) -> float:
    return _bottom(group, places, gap) + gap * (len(group) - 1)
