"""Checks that the functions of this room share: labels, directions, positive numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.validation import check_range

__all__ = ["checked_labels", "checked_sigma", "read_only", "unit_direction"]

FloatArray = npt.NDArray[np.float64]


def checked_labels(y: Any, n_rows: int) -> FloatArray:
    """Return labels as float64, or raise if they are not -1 and +1, one for each row."""
    labels = np.asarray(y)
    if labels.shape != (n_rows,):
        raise ValueError(f"y has shape {labels.shape}, X has {n_rows} rows; give one label per row")
    if labels.dtype.kind not in "fiu" or not np.all((labels == 1) | (labels == -1)):
        values = np.unique(labels)
        shown = ", ".join(repr(value) for value in values[:4].tolist())
        raise ValueError(f"y has the values {shown}{', ...' if values.size > 4 else ''}; labels must be -1 and +1")
    return np.ascontiguousarray(labels, dtype=np.float64)


def unit_direction(w: Any, n_features: int, *, name: str = "w") -> FloatArray:
    """Return a direction scaled to unit length, or raise if it has another size, no length, or entries that are not finite."""
    direction = np.asarray(w, dtype=np.float64)
    if direction.shape == (1, n_features):
        direction = direction[0]  # the coef_ of a binary classifier
    if direction.shape != (n_features,):
        raise ValueError(f"{name} has shape {direction.shape}, X has {n_features} columns; give one number per column")
    largest = float(np.max(np.abs(direction)))
    if not 0.0 < largest < np.inf:
        raise ValueError(f"{name} has largest entry {largest!r}; a direction needs finite numbers that are not all zero")
    direction = direction / largest
    return np.asarray(direction / np.linalg.norm(direction), dtype=np.float64)


def checked_sigma(sigma: Any, *, name: str = "sigma") -> float:
    """Return a band width, or raise if it is not a positive finite number."""
    return float(check_range(sigma, name=name, low=0.0, low_open=True, high=np.inf, high_open=True))


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view that cannot be written to: compiled loops then meet one type whether or not the caller's array may be written."""
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view
