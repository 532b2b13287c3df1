"""Checks of arguments that several functions of the room share."""

from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.validation import check_range

__all__ = ["checked_exponent", "checked_weights"]

FloatArray = npt.NDArray[np.float64]


def checked_exponent(p: Any) -> float:
    """Return p as a float after checking 1 <= p < inf."""
    number = check_range(p, name="p", low=1.0)
    if number == np.inf:
        raise ValueError("p=inf is not covered: scores for the max norm are not defined by these formulas; give a finite p, for example 10")
    return float(number)


def checked_weights(v: npt.ArrayLike, n: int, *, name: str) -> FloatArray:
    """Return weights as float64 after checking length, sign and finiteness."""
    weights = np.asarray(v, dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(f"{name} has shape {weights.shape}; one weight for each of the {n} rows is needed, shape ({n},)")
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0.0)))
    if bad.size:
        raise ValueError(f"{name}[{bad[0]}]={weights[bad[0]]} must be finite and not negative")
    return weights
