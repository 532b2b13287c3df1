"""A proof of near-optimality of an lp regression that can be stored, sent, and checked from the data alone."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings import bounds
from algos.lp_embeddings._dual_certificate import DualCertificate, equation_error
from algos.lp_embeddings._quantile_problem import append_ones, check_problem

__all__ = ["LpCertificate"]

FloatArray = npt.NDArray[np.float64]

_RECOMPUTED = 1e-12
"""Relative difference allowed between a claim and its recomputation: sums in another order, another BLAS, another machine."""
_RESIDUALS = 2e-15
"""Rounding of a residual, relative to the terms of which it is the difference."""
_EQUATIONS = 1e-12
"""Rounding of the whitened equations, whose columns have unit length; badly conditioned ones are treated in extended precision."""

_ROWS = 4096


@dataclass(frozen=True, eq=False)
class LpCertificate(DualCertificate):
    r"""Coefficients, a dual vector, and what the two prove together.

    The statement is: the norm :math:`P = (\sum_i w_i |b_i - a_i x|^p)^{1/p}` of the residuals of `coef` is `objective`, no coefficients
    reach less than `dual_bound`, hence the norm is within the relative `gap` of the smallest. The proof is Hoelder's inequality: with
    the dual norm :math:`Y = (\sum_i w_i |y_i / w_i|^{p'})^{1/p'}` and :math:`1/p + 1/p' = 1`,

    .. math::
        \min_x P(x) \ge \frac{(b - A \hat x) \cdot y - 2 k\, |R^{-\top} A^\top y|_2\, P(\hat x)}{Y},

    where R is the triangular factor of :math:`B = \mathrm{diag}(w^{1/p}) A`, and k is such that :math:`|Bz|_2 \le k |Bz|_p`. The last
    term is rounding for a dual that meets its equations.

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
            False if the vectors do not fit the data, or a claim is better than what they prove.

        Raises
        ------
        ValueError
            If the data themselves are malformed (NaN, infinite, shapes that do not match each other).
        """
        data, _ = check_problem(A, b, 0.5, sample_weight, merge=False)
        coef, y, w = np.asarray(self.coef), np.asarray(self.dual), data.weights
        if coef.shape != (data.shape[1] + self.fit_intercept,) or y.shape != data.b.shape:
            return False
        if not (1.0 <= self.p < np.inf and np.all(np.isfinite(coef)) and np.all(np.isfinite(y))) or np.any(y[w == 0.0]):
            return False
        rows = append_ones(data.A) if self.fit_intercept else data.A
        residual, unmet, terms = _products(rows, data.b, coef, y)
        objective = bounds.lp_norm(values=residual, p=self.p, weights=w)
        length = bounds.lp_dual_norm(dual=y, p=self.p, weights=w)
        slack, rounding = objective, 0.0  # the dual vector zero proves that norms are not negative
        if length > 0.0:
            error, root_tau = equation_error(rows, w ** (1.0 / self.p), unmet)
            price = 2.0 * bounds.norm_comparison(p=self.p, rows=len(w), leverage=root_tau**2) * objective / length
            slack = objective - math.fsum((y / length * residual).tolist()) + price * error
            rounding = _EQUATIONS * price
        size = bounds.lp_norm(values=data.b, p=self.p, weights=w)
        rounding += _RECOMPUTED * objective + _RESIDUALS * (size + bounds.lp_norm(values=terms, p=self.p, weights=w))
        relative = max(objective, 1e-14 * size, np.finfo(float).tiny)
        return bool(
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


def _products(rows: Any, b: FloatArray, coef: FloatArray, y: FloatArray) -> tuple[FloatArray, npt.NDArray[np.longdouble], FloatArray]:
    """Return the residual, ``A.T y`` in extended precision, and the size of the terms of every entry of A coef."""
    residual, terms = np.empty(len(b)), np.empty(len(b))
    unmet = np.zeros(rows.shape[1], dtype=np.longdouble)
    for start in range(0, len(b), _ROWS):
        here = slice(start, start + _ROWS)
        part = rows[here].astype(np.float64)
        residual[here] = b[here] - part @ coef
        terms[here] = abs(part) @ np.abs(coef)
        unmet += part.T.astype(np.longdouble) @ y[here]
    return residual, unmet, terms
