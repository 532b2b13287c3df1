"""Formulas about leverage scores: accuracy of the computing paths, ridge."""

import math

import numpy as np
import numpy.typing as npt

__all__ = ["UNIT_ROUNDOFF", "gram_leverage_error", "leverage_error", "ridge_leverage_sum", "shifted_leverage_error"]


UNIT_ROUNDOFF = 2.0**-53
"""Largest relative rounding error of one float64 operation."""


def gram_leverage_error(*, cond: float, unit_roundoff: float = UNIT_ROUNDOFF) -> float:
    r"""Relative error of leverage scores computed from the Gram matrix: :math:`16\,u\,\kappa^2`.

    Parameters
    ----------
    cond : float
        Condition number of the matrix whose columns are scaled to unit length, the product of the 1-norms of the triangular factor and
        its inverse; at least 1.
    unit_roundoff : float, default=2**-53
        Rounding unit of the arithmetic.

    Returns
    -------
    float
        The error bound: rounding of the Gram matrix is amplified by its own condition number, the square of that of the matrix. The
        factor 16 is a working rule: 7 was the most in 4,000 adversarial tables. Checked by claim LP-02.

    Examples
    --------
    >>> gram_leverage_error(cond=1e5) < 2e-5
    True
    """
    return 16.0 * unit_roundoff * cond**2


def shifted_leverage_error(*, cond: float, unit_roundoff: float = UNIT_ROUNDOFF) -> float:
    r"""Relative error of leverage scores after shifted, repeated orthogonalisation: :math:`10^{-12} + 4\,u\,\kappa`.

    Parameters are those of `gram_leverage_error`. The leading digits of a leverage score change by :math:`u\kappa` when the
    matrix is perturbed in its last digit, so no method can do better than a multiple of this; the factor is a working rule, 0.9 was
    the most in 4,000 adversarial tables.

    Examples
    --------
    >>> shifted_leverage_error(cond=1e12) < 1e-3
    True
    """
    return 1e-12 + 4.0 * unit_roundoff * cond


def leverage_error(*, cond: float, rtol: float = 1e-6, unit_roundoff: float = UNIT_ROUNDOFF) -> float:
    r"""Relative error promised for leverage scores at any condition number.

    The fast path is taken while :math:`u\,\kappa^2 \le` rtol and promises `gram_leverage_error`; beyond, `shifted_leverage_error` holds.

    Parameters
    ----------
    cond : float
        Condition number as in `gram_leverage_error`.
    rtol : float, default=1e-6
        Largest :math:`u\,\kappa^2` for which the Gram matrix is used.
    unit_roundoff : float, default=2**-53
        Rounding unit of the arithmetic.

    Examples
    --------
    >>> leverage_error(cond=1e4) == gram_leverage_error(cond=1e4)
    True
    >>> leverage_error(cond=1e9) == shifted_leverage_error(cond=1e9)
    True
    """
    fast = unit_roundoff * cond**2 <= rtol
    return (gram_leverage_error if fast else shifted_leverage_error)(cond=cond, unit_roundoff=unit_roundoff)


def ridge_leverage_sum(*, singular_values: npt.ArrayLike, ridge: float = 0.0) -> float:
    r"""Sum of ridge leverage scores, :math:`\sum_j \sigma_j^2/(\sigma_j^2+\lambda)`; the rank when the ridge is zero.

    Parameters
    ----------
    singular_values : array_like of shape (r,)
        Singular values of the matrix. Zeros contribute nothing.
    ridge : float, default=0
        The number added to the diagonal of the Gram matrix.

    Examples
    --------
    >>> ridge_leverage_sum(singular_values=[3.0, 1.0, 0.0], ridge=1.0)
    1.4
    """
    squares = np.square(np.asarray(singular_values, dtype=np.float64))
    squares = squares[squares > 0.0]
    return math.fsum((squares / (squares + ridge)).tolist())
