"""Linear models with few columns: greedy, thresholded, by the lasso, and with the least maximal error over all supports."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits._polytope_kernels import misfit_floors
from algos.misspecified_bandits._supports import count_supports, support_block, support_blocks

__all__ = ["SupportSearch", "best_support", "check_scales", "hard_thresholding", "lasso_support", "least_squares_on", "orthogonal_matching"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_ROUNDING = 1e-12
_RANK = 1e-11  # directions of this relative length are rounding
_MOST_DIGITS = 305
_THRESHOLDINGS = 200  # supports are finitely many: a run that has not settled by then goes round in a circle
_BLOCK = 2**20  # numbers in a block of supports


def least_squares_on(A: FloatArray, y: FloatArray, support: IntArray, base: FloatArray | None = None) -> FloatArray:
    """Return the least-squares coefficients of the base columns, then of the support, of minimum norm."""
    columns = _with_base(A, support, base)
    sizes = _column_sizes(columns)
    return np.asarray(np.linalg.lstsq(columns / sizes, y, rcond=_RANK)[0]) / sizes


def check_scales(A: FloatArray, y: FloatArray) -> None:
    """Raise a ValueError if fitting y needs coefficients that float64 cannot hold."""
    sizes, largest = np.max(np.abs(A), axis=0, initial=0.0), float(np.max(np.abs(y), initial=0.0))
    smallest = float(np.min(sizes[sizes > 0.0], initial=np.inf))
    if largest > 0.0 and math.log10(largest) - math.log10(smallest) > _MOST_DIGITS:
        raise ValueError(
            f"a column of size {smallest:g} needs coefficients beyond 1e{_MOST_DIGITS} for values of size {largest:g}; rescale"
        )


def orthogonal_matching(A: FloatArray, y: FloatArray, s: int, base: FloatArray | None = None) -> IntArray:
    """Return at most s columns: each one has the largest correlation with what the earlier ones (and the base) leave.

    Stops early when nothing correlates. Of equal columns the lowest is taken.
    """
    sizes = _column_sizes(A)
    chosen: list[int] = []
    for _ in range(min(s, A.shape[1])):
        left = _left_over(A, y, np.array(chosen, dtype=np.int64), base)
        match = np.abs(left @ A) / sizes
        match[chosen] = -1.0
        best = int(np.argmax(match >= match.max() * (1.0 - _ROUNDING)))
        if not match[best] > _ROUNDING * float(np.linalg.norm(y)):
            break
        chosen.append(best)
    return np.sort(np.array(chosen, dtype=np.int64))


def hard_thresholding(A: FloatArray, y: FloatArray, s: int, base: FloatArray | None = None) -> IntArray:
    """Return s columns by hard thresholding pursuit with unit steps on columns of root mean square 1.

    Step, keep the s largest coefficients, fit them, until the support repeats. Of all supports on the way that with the smallest sum of
    squares is returned.
    """
    n, d = A.shape
    s = min(s, d)
    sizes = _column_sizes(A) / math.sqrt(n)
    coef, left, seen = np.zeros(d), _left_over(A, y, np.empty(0, dtype=np.int64), base), set()
    best, least = np.empty(0, dtype=np.int64), math.inf
    for _ in range(_THRESHOLDINGS):
        moved = np.abs(coef + left @ A / sizes / n)
        support = np.sort(np.argsort(-moved, kind="stable")[:s]).astype(np.int64)
        if support.tobytes() in seen:
            break
        seen.add(support.tobytes())
        fitted = least_squares_on(A, y, support, base)
        left = y - _with_base(A, support, base) @ fitted
        coef[:] = 0.0
        coef[support] = fitted[len(fitted) - s :] * sizes[support]
        total = float(left @ left)
        if total < least:
            best, least = support, total
    return best


def lasso_support(A: FloatArray, y: FloatArray, s: int, alpha: float) -> IntArray:
    """Return the columns of the s largest coefficients of the lasso on columns of root mean square 1.

    A penalty so large that all coefficients vanish is lowered to half of the one where the first appears.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        The lasso did not converge.
    """
    from sklearn.linear_model import Lasso

    n = len(y)
    scaled = A / (_column_sizes(A) / math.sqrt(n))
    largest = float(np.max(np.abs(y @ scaled), initial=0.0)) / n
    if largest == 0.0:
        return np.empty(0, dtype=np.int64)
    # in units of the first penalty that counts, so that the unit of y does not matter
    penalty = min(max(alpha / largest, 1e-4), 0.5)
    coef = np.abs(Lasso(penalty, fit_intercept=False, max_iter=50_000).fit(scaled, y / largest).coef_)
    support = np.argsort(-coef, kind="stable")[:s]
    return np.sort(support[coef[support] > 0.0]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class SupportSearch:
    """The support whose best fit has the least maximal error.

    Attributes
    ----------
    support : ndarray of int64
        Increasing columns.
    lower : float
        No fit on any support has a smaller maximal error; proved by multipliers.
    n_programs : int
        Supports for which a linear program was needed.
    """

    support: IntArray
    lower: float
    n_programs: int


def best_support(A: FloatArray, y: FloatArray, s: int, base: FloatArray | None = None) -> SupportSearch:
    """Return the best of all supports of s columns for the maximal error.

    The root mean square of the least-squares residuals is a lower bound of the maximal error, so supports are tried in its order until
    it exceeds the least maximal error found. Of supports with equal maximal errors, up to rounding, the first in this order wins.
    """
    d = A.shape[1]
    unit = float(np.max(np.abs(y), initial=0.0)) or 1.0
    values = y / unit
    bounds = np.concatenate([_mean_squares(basis, values) for basis in _bases(A, s, base)])
    best, least, proved, count = np.arange(s, dtype=np.int64), math.inf, math.inf, 0
    for rank in np.argsort(bounds, kind="stable").tolist():
        if bounds[rank] >= least:
            proved = min(proved, float(bounds[rank]))
            break
        support = support_block(rank, rank + 1, d, s)[0]
        floor = _least_error(_basis(_with_base(A, support, base)), values, least)
        count += 1
        proved = min(proved, floor)
        if floor < least - _ROUNDING:
            best, least = support, floor
    return SupportSearch(best, max(proved, 0.0) * unit, count)


def _least_error(basis: FloatArray, values: FloatArray, stop: float) -> float:
    """Return the least maximal error, or a number above `stop`, for values of size at most 1.

    The best fit is at most 2 in size everywhere, so its coefficients in a basis of root mean square 1 are too: the box does not matter.
    """
    k = basis.shape[1]
    if k == 0:
        return float(np.max(np.abs(values)))
    support, bases = np.arange(k, dtype=np.int64)[None, :], np.append(2 * np.arange(k), 2 * k).astype(np.int64)[None, :]
    floors, coefs = np.zeros(1), np.zeros((1, k))
    misfit_floors(np.ascontiguousarray(basis), values, values, support, np.ones(1, dtype=np.bool_), 2.0, stop, bases, floors, coefs)
    return float(floors[0])


def _bases(A: FloatArray, s: int, base: FloatArray | None) -> Iterator[list[FloatArray]]:
    """Yield bases of the columns of supports, block by block in their order."""
    n, d = A.shape
    width = s + (0 if base is None else base.shape[1])
    for _, supports in support_blocks(d, s, max(1, min(count_supports(d, s), _BLOCK // (n * width)))):
        stack = np.empty((len(supports), n, width))
        stack[:, :, width - s :] = A[:, supports].transpose(1, 0, 2)
        if base is not None:
            stack[:, :, : width - s] = base
        yield _stacked_bases(stack)


def _stacked_bases(stack: FloatArray) -> list[FloatArray]:
    sizes = np.max(np.abs(stack), axis=1, keepdims=True)
    sizes[sizes == 0.0] = 1.0
    scaled = stack / sizes
    if stack.shape[1] < stack.shape[2]:
        return [_basis(columns) for columns in scaled]
    q, r = np.linalg.qr(scaled)
    corners = np.abs(np.diagonal(r, axis1=1, axis2=2))
    good = corners.min(axis=1) > 1e-6 * np.maximum(corners.max(axis=1), 1e-300)
    root = math.sqrt(stack.shape[1])
    return [q[i] * root if good[i] else _basis(scaled[i]) for i in range(len(stack))]


def _basis(columns: FloatArray) -> FloatArray:
    """Return orthogonal columns of root mean square 1 with the same span, up to directions that are rounding."""
    scaled = columns / np.where(np.max(np.abs(columns), axis=0) == 0.0, 1.0, np.max(np.abs(columns), axis=0))
    u, sizes, _ = np.linalg.svd(scaled, full_matrices=False)
    return np.asarray(u[:, sizes > _RANK * max(float(sizes.max(initial=0.0)), 1e-300)] * math.sqrt(len(columns)))


def _mean_squares(bases: list[FloatArray], values: FloatArray) -> FloatArray:
    """Return the root mean square residual of the least-squares fit in every basis, less rounding."""
    n = len(values)
    left = np.array([float(np.linalg.norm(values - basis @ (values @ basis) / n)) for basis in bases])
    return np.maximum(left / math.sqrt(n) - _ROUNDING, 0.0)


def _left_over(A: FloatArray, y: FloatArray, support: IntArray, base: FloatArray | None) -> FloatArray:
    columns = _with_base(A, support, base)
    return y - columns @ least_squares_on(A, y, support, base) if columns.shape[1] else y


def _with_base(A: Any, support: IntArray, base: FloatArray | None) -> FloatArray:
    chosen = A[:, support]
    return chosen if base is None else np.hstack([base, chosen])


def _column_sizes(A: FloatArray) -> FloatArray:
    """Return the lengths of the columns, 1 for columns of zeros."""
    largest = np.max(np.abs(A), axis=0, initial=0.0)
    largest[largest == 0.0] = 1.0
    sizes = largest * np.linalg.norm(A / largest, axis=0)
    sizes[sizes == 0.0] = 1.0
    return np.asarray(sizes)
