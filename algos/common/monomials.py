r"""Monomial features whose inner products are powers of inner products.

For x in :math:`\mathbb{R}^d` the weighted monomials of degree k are
:math:`\sqrt{k!/(\alpha_1!\cdots\alpha_d!)}\,x_1^{\alpha_1}\cdots x_d^{\alpha_d}` over all exponents with
:math:`\alpha_1+\dots+\alpha_d=k`. By the multinomial theorem their inner product for x and z is :math:`(x\cdot z)^k`.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from algos.common.validation import canonical_array, check_range

__all__ = ["monomial_count", "monomial_exponents", "weighted_monomials"]

FloatArray = npt.NDArray[np.float64]


def monomial_count(n_features: int, degree: int) -> int:
    r"""Return the number of monomials, :math:`\binom{d+k-1}{k}`.

    Parameters
    ----------
    n_features : int
        Number of variables d, at least 1.
    degree : int
        Degree k, at least 0.

    Returns
    -------
    int

    Examples
    --------
    >>> monomial_count(3, 2)
    6
    """
    d = check_range(n_features, name="n_features", low=1, integer=True)
    k = check_range(degree, name="degree", low=0, integer=True)
    return math.comb(d + k - 1, k)


def monomial_exponents(n_features: int, degree: int) -> npt.NDArray[np.int64]:
    """Return the exponents of all monomials, one row each, in the order of `weighted_monomials`.

    Parameters
    ----------
    n_features : int
        Number of variables d.
    degree : int
        Degree k.

    Returns
    -------
    ndarray of shape (n_monomials, d), int64
        Each row sums to k.

    Examples
    --------
    >>> monomial_exponents(2, 2).tolist()
    [[2, 0], [1, 1], [0, 2]]
    """
    chosen = np.array(list(_factors(n_features, degree)), dtype=np.int64).reshape(monomial_count(n_features, degree), degree)
    return np.asarray(np.sum(chosen[:, :, None] == np.arange(n_features), axis=1), dtype=np.int64)


def weighted_monomials(X: npt.ArrayLike, degree: int) -> FloatArray:
    r"""Lift rows to all monomials of one degree, weighted so that inner products are powers: :math:`\phi(x)\cdot\phi(z)=(x\cdot z)^k`.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows.
    degree : int
        Degree k, at least 1.

    Returns
    -------
    ndarray of shape (n, n_monomials), float64, C-contiguous
        With :math:`\binom{d+k-1}{k}` columns. Time and memory are proportional to its size.

    Raises
    ------
    ValueError
        A degree below 1, NaN or infinite entries, or monomials that overflow.

    Examples
    --------
    >>> from algos.common.monomials import weighted_monomials
    >>> weighted_monomials([[3.0, 1.0]], 2).round(3).tolist()
    [[9.0, 4.243, 1.0]]
    """
    table = canonical_array(X, name="X").astype(np.float64, copy=False)
    degree = check_range(degree, name="degree", low=1, integer=True)
    columns = np.ascontiguousarray(table.T)
    lifted = np.empty((monomial_count(table.shape[1], degree), table.shape[0]))
    weights = _multinomial_roots(table.shape[1], degree)
    with np.errstate(over="ignore"):
        for row, (factors, weight) in enumerate(zip(_factors(table.shape[1], degree), weights, strict=True)):
            np.multiply(columns[factors[0]], weight, out=lifted[row])
            for factor in factors[1:]:
                lifted[row] *= columns[factor]
    if not np.all(np.isfinite(lifted)):
        raise ValueError(f"monomials of degree {degree} overflow: the largest entry of X is {np.max(np.abs(table)):.3g}; scale the columns")
    return np.ascontiguousarray(lifted.T)


def _factors(n_features: int, degree: int) -> Iterator[tuple[int, ...]]:
    """Variables of each monomial, repeated as often as their exponent says."""
    return itertools.combinations_with_replacement(range(n_features), degree)


def _multinomial_roots(n_features: int, degree: int) -> list[float]:
    roots = []
    for factors in _factors(n_features, degree):
        repeats = [factors.count(variable) for variable in set(factors)]
        roots.append(math.sqrt(math.factorial(degree) / math.prod(map(math.factorial, repeats))))
    return roots
