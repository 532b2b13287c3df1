"""A proof of near-optimality of an lp regression that can be stored, sent, and checked from the data alone."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.linalg import row_leverages
from algos.lp_embeddings import bounds
from algos.lp_embeddings._dual_certificate import DualCertificate, are_real, is_finite_vector
from algos.lp_embeddings._quantile_problem import append_ones, check_problem
from algos.lp_embeddings._row_balance import balanced_whitening

__all__ = ["LpCertificate"]

FloatArray = npt.NDArray[np.float64]

_RECOMPUTED = 1e-12
"""Relative difference allowed between a claim and its recomputation: sums in another order, another BLAS, another machine."""
_RESIDUALS = 2e-15
"""Rounding of a residual, relative to the terms of which it is the difference."""
_EQUATIONS = 1e-12
"""Rounding of the whitened equations, whose columns have unit length; badly conditioned ones are treated in extended precision."""

_HIDDEN_GAP = 1e-6
"""Rounding beyond this share of the objective hides false claims: coefficients that are huge and cancel must not buy it."""
_HIDDEN_SIZE = 1e-13
"""The same relative to the responses, for fits whose objective is zero up to rounding."""
_OVERFLOW = 1e300
"""Fitted values of this size, which no data allow, are not worked with."""

_ROWS = 4096


@dataclass(frozen=True, eq=False)
class LpCertificate(DualCertificate):
    r"""Coefficients, a dual vector, and what the two prove together.

    The statement is: the norm :math:`P = (\sum_i w_i |b_i - a_i x|^p)^{1/p}` of the residuals of `coef` is `objective`, no coefficients
    reach less than `dual_bound`, hence the norm is within the relative `gap` of the smallest. The proof is Hoelder's inequality: with
    the dual norm :math:`Y = (\sum_i w_i |y_i / w_i|^{p'})^{1/p'}` and :math:`1/p + 1/p' = 1`,

    .. math::
        \min_x P(x) \ge \frac{(b - A \hat x) \cdot y - 2 k\, |R^{-\top} A^\top y|_2\, P(\hat x)}{Y},

    where R is the triangular factor of :math:`SA`, S the p-th roots of the weights or, where these differ by many orders of magnitude,
    other multipliers, and k is such that :math:`|SAz|_2 \le k (\sum_i w_i |a_i z|^p)^{1/p}`. The last term is rounding for a dual that
    meets its equations. Columns of SA that are dependent up to rounding count as dependent.

    Attributes
    ----------
    p : float
        Exponent of the norm.
    coef : ndarray of shape (d,)
        Coefficients; the intercept last if there is one.
    dual : ndarray of shape (n,)
        One number per row, of dual norm 1 and orthogonal to the columns.
    objective, dual_bound, gap : float
        The claims.
    fit_intercept : bool
        Whether a column of ones is appended to the data before checking.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import certified_lp
    >>> A, b = np.ones((5, 1)), np.array([1.0, 2.0, 3.0, 10.0, 50.0])
    >>> certificate = certified_lp(A, b, 3.0).certificate
    >>> certificate.verify(A, b)
    True
    >>> certificate.verify(A, b + np.arange(5.0))
    False
    """

    p: float
    coef: FloatArray
    dual: FloatArray
    objective: float
    dual_bound: float
    gap: float
    fit_intercept: bool = False

    def verify(self, A: npt.ArrayLike, b: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> bool:
        """Recompute every claim from the data; nothing but the two vectors is believed.

        Parameters
        ----------
        A : array-like or sparse matrix of shape (n, d)
            The data, without the column of ones.
        b : array-like of shape (n,)
            Responses.
        sample_weight : array-like of shape (n,), optional
            Row weights.

        Returns
        -------
        bool
            False if the vectors do not fit the data, a claim is better than what they prove, or the terms of ``A @ coef`` cancel so far
            that float64 cannot tell: rounding above 1e-6 of the objective.

        Raises
        ------
        ValueError
            If the data themselves are malformed (NaN, infinite, shapes that do not match each other).
        """
        data, _ = check_problem(A, b, 0.5, sample_weight, merge=False)
        coef, y, w = np.asarray(self.coef), np.asarray(self.dual), data.weights
        if not (are_real(self.p, self.objective, self.dual_bound, self.gap) and 1.0 <= self.p < math.inf):
            return False
        if not (is_finite_vector(coef, data.shape[1] + bool(self.fit_intercept)) and is_finite_vector(y, len(data.b))):
            return False
        if np.any(y[w == 0.0]):
            return False
        rows = append_ones(data.A) if self.fit_intercept else data.A
        terms = _fitted_size(rows, coef)
        if not float(terms.max(initial=0.0)) < _OVERFLOW:
            return False
        residual, unmet = _products(rows, data.b, coef, y)
        objective = bounds.lp_norm(values=residual, p=self.p, weights=w)
        size = bounds.lp_norm(values=data.b, p=self.p, weights=w)
        hidden = _RESIDUALS * (size + bounds.lp_norm(values=terms, p=self.p, weights=w))
        if hidden > max(_HIDDEN_GAP * objective, _HIDDEN_SIZE * size):
            return False
        length = bounds.lp_dual_norm(dual=y, p=self.p, weights=w)
        slack, rounding = objective, 0.0  # the dual vector zero proves that norms are not negative
        if length > 0.0:
            error, factor = _equation_error(rows, self.p, None if sample_weight is None else w, unmet)
            price = 2.0 * factor * objective / length
            reached = math.fsum((y / length * data.b).tolist()) - float(unmet @ coef) / length  # residual . y, without its rounding
            slack = objective - reached + price * error
            rounding = _EQUATIONS * price
        rounding += _RECOMPUTED * objective + hidden
        relative = max(objective, 1e-14 * size, np.finfo(float).tiny)
        return rounding < math.inf and bool(
            abs(objective - self.objective) <= rounding
            and self.dual_bound <= objective - slack + rounding
            and slack <= self.gap * relative + rounding
            and self.gap >= 0.0
        )

    def explain(self) -> str:
        """Return the statement in words, with its numbers."""
        return (
            f"These {len(self.coef)} coefficients leave residuals of l{self.p:g} norm {self.objective:.10g} over {len(self.dual)} rows. "
            f"The dual vector proves that no coefficients do better than {self.dual_bound:.10g}: "
            f"the norm is within a relative gap of {self.gap:.2e} of the smallest. "
            "verify(A, b) recomputes both numbers from the data."
        )


def _equation_error(rows: Any, p: float, w: FloatArray | None, unmet: npt.NDArray[np.longdouble]) -> tuple[float, float]:
    """Return the length of the whitened residual of the equations, and the factor with which it enters."""
    roots = None if w is None else w ** (1.0 / p)
    white, scale = balanced_whitening(rows, roots)
    if white.rank == 0:
        return 0.0, 0.0
    length = float(np.linalg.norm((white.R_inv.T @ unmet).astype(np.float64)))
    leverages = row_leverages(rows, white.R_inv)
    if roots is None or scale is None:
        return length, bounds.norm_comparison(p=p, leverages=leverages)
    alive = roots > 0.0
    ratios = scale[alive] / roots[alive]
    return length, bounds.norm_comparison(p=p, leverages=scale[alive] ** 2 * leverages[alive], ratios=ratios)


def _fitted_size(rows: Any, coef: FloatArray) -> FloatArray:
    """Return the size of the terms of every entry of A coef, which may be far larger than their sum; infinite where floats end."""
    with np.errstate(over="ignore"):
        parts = [abs(rows[start : start + _ROWS].astype(np.float64)) @ np.abs(coef) for start in range(0, rows.shape[0], _ROWS)]
    return np.concatenate(parts)


def _products(rows: Any, b: FloatArray, coef: FloatArray, y: FloatArray) -> tuple[FloatArray, npt.NDArray[np.longdouble]]:
    """Return the residual, and ``A.T y`` in extended precision."""
    residual = np.empty(len(b))
    unmet = np.zeros(rows.shape[1], dtype=np.longdouble)
    for start in range(0, len(b), _ROWS):
        here = slice(start, start + _ROWS)
        part = rows[here].astype(np.float64)
        residual[here] = b[here] - part @ coef
        unmet += part.T.astype(np.longdouble) @ y[here]
    return residual, unmet
