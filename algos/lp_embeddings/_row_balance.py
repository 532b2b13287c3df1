"""Whitening of a weighted table whose weights differ by many orders of magnitude.

Whitened together with its weights w, a table loses every direction in which only light rows vary: next to a row of weight 1e15 the others
look like rounding. Any other positive row multipliers s serve a proof as well, because with tau the leverage scores of ``diag(s) A``

    |diag(s) A z|_2 <= sum_i tau_i^(1/2) s_i |a_i z| <= max_i(tau_i^(1/2) s_i / w_i) |diag(w) A z|_1,

so the multipliers are chosen by what they keep of the rank (derived: docs/theory/lp_embeddings.md, "The gap").
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.linalg import Whitening, row_leverages, whitening

__all__ = ["balanced_whitening", "reach"]

FloatArray = npt.NDArray[np.float64]

_ORDINARY_CONDITION = 1e4  # up to here the weights have done no harm
_ORDINARY_RANGE = 1e3  # ratios of weights that cannot be to blame for a bad condition number


def balanced_whitening(A: Any, weights: FloatArray | None) -> tuple[Whitening, FloatArray | None]:
    """Whiten a table with row multipliers that are its weights, unless these hide a part of the table; return the multipliers as well.

    The alternatives are weights capped at their median and no weights at all. The highest rank wins, then the smallest product of condition
    number and `reach`, by which a proof magnifies rounding.
    """
    white = whitening(A, scale=weights)
    if weights is None or (white.rank == A.shape[1] and white.cond <= _ORDINARY_CONDITION):
        return white, weights
    positive = weights[weights > 0.0]
    if positive.max() <= _ORDINARY_RANGE * positive.min():
        return white, weights
    capped, none = np.minimum(weights, np.median(positive)), (weights > 0.0).astype(np.float64)
    candidates = [(white, weights), *((whitening(A, scale=scale), scale) for scale in (capped, none))]

    def merit(candidate: tuple[Whitening, FloatArray]) -> tuple[int, float]:
        found, scale = candidate
        return found.rank, -found.cond * reach(np.sqrt(row_leverages(A, found.R_inv)), scale, weights)

    return max(candidates, key=merit)


def reach(spread: FloatArray, scale: FloatArray | None, weights: FloatArray) -> float:
    """Return the largest ratio of ``|diag(scale) A z|_2`` to ``|diag(weights) A z|_1`` that the row lengths `spread` allow.

    `spread` holds the lengths of the rows of A in the basis that makes the columns of ``diag(scale) A`` orthonormal.
    """
    if scale is None or scale is weights:
        return float(np.max(weights * spread))
    with np.errstate(over="ignore"):  # infinite where next to nothing is proved
        ratio = np.divide(scale, weights, out=np.zeros_like(scale), where=weights > 0.0)
        return float(np.max(ratio * scale * spread))
