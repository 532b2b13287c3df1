r"""Leverage scores: how much each row of a tall table matters for least squares.

The leverage score of row :math:`a_i` is :math:`\tau_i = a_i^T (A^T A)^+ a_i`, the largest share of :math:`\|Ax\|_2^2` that row i can
have. Scores lie in [0, 1], add up to the rank, and do not change when the columns are recombined.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from algos.common.blocks import RowSource
from algos.common.linalg import UNIT_ROUNDOFF, row_leverages, whitening
from algos.common.validation import check_option, check_range

__all__ = ["LeverageResult", "leverage_scores"]

Method = Literal["auto", "gram", "shifted", "svd"]

_METHODS = ("auto", "gram", "shifted", "svd")
_ROUNDING = 1e-9  # scores above 1 by more than this on top of the path's own error mean a fault in the code


@dataclass(frozen=True, eq=False)
class LeverageResult:
    """Leverage scores and how they were found.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64
        Scores in [0, 1].
    rank : int
        Numerical rank of the table (with a ridge: of the table with the ridge rows below it).
    cond : float
        Estimated condition number of the table with columns scaled to unit length.
    method : {"gram", "shifted", "svd"}
        The path that was taken.
    """

    scores: NDArray[np.float64]
    rank: int
    cond: float
    method: Literal["gram", "shifted", "svd"]


@overload
def leverage_scores(
    A: Any, *, method: Method = "auto", ridge: float = 0.0, rtol: float = 1e-6, return_info: Literal[False] = False
) -> NDArray[np.float64]: ...
@overload
def leverage_scores(
    A: Any, *, method: Method = "auto", ridge: float = 0.0, rtol: float = 1e-6, return_info: Literal[True]
) -> LeverageResult: ...
def leverage_scores(
    A: Any, *, method: Method = "auto", ridge: float = 0.0, rtol: float = 1e-6, return_info: bool = False
) -> NDArray[np.float64] | LeverageResult:
    r"""Return the leverage score of every row.

    .. math:: \tau_i = a_i^T (A^T A + \lambda I)^+ a_i, \qquad
              \sum_i \tau_i = \sum_j \frac{\sigma_j^2}{\sigma_j^2 + \lambda} = \operatorname{rank} A \text{ for } \lambda = 0.

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d); any n and d. A memory-mapped table is never copied.
    method : {"auto", "gram", "shifted", "svd"}, default="auto"
        ``"auto"`` uses the Gram matrix where that is safe by ``rtol``, else a safer path. A named path is taken whatever
        the condition number, for comparisons.
    ridge : float, default=0.0
        The :math:`\lambda` above, non-negative, in squared units of A.
    rtol : float, default=1e-6
        Largest value of u cond^2 (u = 1.1e-16) for which the Gram matrix is used; the relative error is then at most a small multiple of
        it. Sampling tolerates far larger errors; at this default the fast path serves up to condition 1e5.
    return_info : bool, default=False
        Whether to return the rank, the condition estimate and the path as well.

    Returns
    -------
    ndarray of shape (n,), float64, or LeverageResult
        Scores in [0, 1], 0 for rows of zeros.

    Raises
    ------
    ValueError
        Empty or not two-dimensional input, NaN or infinite entries, a negative ridge, an unknown method.
    TypeError
        A stream that can be read only once, or entries that are not numbers.
    numpy.linalg.LinAlgError
        A named path failed.

    Warns
    -----
    RuntimeWarning
        ``method="gram"`` was asked for where u cond^2 exceeds ``rtol``.

    Notes
    -----
    Two passes over the rows and 3 n d^2 operations when the condition number is at most 1e5. Memory beyond the result: O(d^2) and a
    slice of rows. The relative error grows like u cond^2 (``gram``) or u cond (``shifted``); the bounds are ``leverage_error`` in
    :mod:`~algos.lp_embeddings.bounds`. A table whose columns are dependent to about 1e-13 is treated as rank deficient.

    Examples
    --------
    >>> from algos.lp_embeddings.leverage_scores import leverage_scores
    >>> leverage_scores([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]).round(6).tolist()
    [1.0, 0.5, 0.5]
    """
    check_option(method, _METHODS, name="method")
    rtol = check_range(rtol, name="rtol", low=0.0, high=1.0)
    source = RowSource.of(A, name="A")
    white = whitening(source, ridge=ridge, rtol=rtol, method=method)
    if method == "gram" and UNIT_ROUNDOFF * white.cond**2 > rtol:
        warnings.warn(
            f"method='gram' at condition {white.cond:.1e}: the scores may be wrong altogether (u cond^2 is above rtol={rtol:g}); "
            "use method='auto'",
            RuntimeWarning,
            stacklevel=2,
        )
    scores = row_leverages(source, white)
    _clip_rounding(scores, 100.0 * UNIT_ROUNDOFF * white.cond * (white.cond if white.method == "gram" else 1.0))
    return LeverageResult(scores, white.rank, white.cond, white.method) if return_info else scores


def _clip_rounding(scores: NDArray[np.float64], expected: float) -> None:
    largest = scores.max()
    if not largest <= 1.0 + expected + _ROUNDING:
        raise FloatingPointError(f"a leverage score came out as {largest!r}, above 1 by more than rounding; please report this table")
    if largest > 1.0:
        np.minimum(scores, 1.0, out=scores)
