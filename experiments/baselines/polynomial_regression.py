r"""Agnostic learning of halfspaces by polynomial regression in the l1 norm, after Kalai, Klivans, Mansour and Servedio.

A polynomial of degree k is fitted to the labels with the least sum of absolute residuals, and predicts by a threshold chosen on the same
rows. For Gaussian rows its error tends to the optimum as the degree grows, at the price of :math:`\binom{d+k}{k}` coefficients.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PolynomialClassifier", "fit_polynomial", "monomials"]

FloatArray = NDArray[np.float64]

_BLOCK = 1 << 21  # entries of the table of monomials that prediction holds at once


def monomials(X: ArrayLike, degree: int) -> FloatArray:
    r"""Return all monomials of degree at most k, the constant first: :math:`\binom{d+k}{k}` columns.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows.
    degree : int
        Degree k, at least 0.

    Returns
    -------
    ndarray of shape (n, C(d + k, k))

    Examples
    --------
    >>> monomials([[2.0, 3.0]], 2).tolist()
    [[1.0, 2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    rows = np.asarray(X, dtype=np.float64)
    columns: list[FloatArray] = [np.ones(len(rows))]
    place: dict[tuple[int, ...], int] = {(): 0}  # each monomial is one of lower degree times one coordinate
    for order in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(rows.shape[1]), order):
            place[chosen] = len(columns)
            columns.append(columns[place[chosen[:-1]]] * rows[:, chosen[-1]])
    return np.column_stack(columns)


@dataclass(frozen=True, eq=False)
class PolynomialClassifier:
    """Sign of a polynomial minus a threshold.

    Attributes
    ----------
    degree : int
    coef : ndarray of shape (C(d + degree, degree),)
        Coefficients in the order of `monomials`.
    threshold : float
    """

    degree: int
    coef: FloatArray
    threshold: float

    def predict(self, X: ArrayLike) -> FloatArray:
        """Return labels -1 and +1.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
        """
        rows = np.asarray(X, dtype=np.float64)
        values = np.concatenate([monomials(block, self.degree) @ self.coef for block in _blocks(rows, self.coef.size)])
        return np.where(values >= self.threshold, 1.0, -1.0)


def _blocks(rows: FloatArray, width: int) -> Iterator[FloatArray]:
    size = max(1, _BLOCK // width)
    return (rows[start : start + size] for start in range(0, max(len(rows), 1), size))


def fit_polynomial(X: ArrayLike, y: ArrayLike, degree: int, *, tol: float = 1e-3, seed: int = 0) -> PolynomialClassifier:
    """Fit labels by a polynomial with the least absolute residuals and choose the threshold with the fewest mistakes.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows.
    y : array-like of shape (n,)
        Labels -1 and +1.
    degree : int
        Degree of the polynomial.
    tol : float, default=1e-3
        Relative gap to which the linear programme is solved, and proved, by `algos.lp_embeddings.certified_quantile`.
    seed : int, default=0
        Rows with which the solver begins.

    Returns
    -------
    PolynomialClassifier

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((300, 2))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, 1, -1)
    >>> bool(np.mean(fit_polynomial(X, y, 2).predict(X) == y) > 0.9)
    True
    """
    from algos.lp_embeddings import certified_quantile

    labels = np.asarray(y, dtype=np.float64)
    table = monomials(X, degree)
    lengths = np.linalg.norm(table, axis=0)
    table /= lengths
    coef = certified_quantile(table, labels, 0.5, tol=tol, random_state=seed).coef
    return PolynomialClassifier(degree, coef / lengths, best_threshold(table @ coef, labels))


def best_threshold(values: FloatArray, labels: FloatArray) -> float:
    """Return the threshold at which predicting +1 for values that reach it makes the fewest mistakes; the one nearest to 0 among equals.

    Examples
    --------
    >>> best_threshold(np.array([-0.5, 0.2, 0.9, 1.5]), np.array([-1.0, -1.0, 1.0, 1.0]))
    0.55
    """
    order = np.argsort(values)
    ordered, positive = values[order], labels[order] > 0.0
    # threshold j lies below the j-th smallest value: mistakes are the positives below it and the negatives above it
    mistakes = np.r_[0, np.cumsum(positive)] + np.r_[np.cumsum(~positive[::-1])[::-1], 0]
    middle = np.r_[ordered[0] - 1.0, (ordered[:-1] + ordered[1:]) / 2.0, ordered[-1] + 1.0]
    apart = np.r_[True, ordered[1:] > ordered[:-1], True]  # no threshold between equal values
    mistakes = np.where(apart, mistakes, labels.size + 1)
    best = np.flatnonzero(mistakes == mistakes.min())
    return float(middle[best[np.argmin(np.abs(middle[best]))]])
