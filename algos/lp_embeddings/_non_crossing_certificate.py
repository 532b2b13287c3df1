"""A proof about several quantile regressions that do not cross, which can be stored, sent, and checked from the data alone."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from algos.common.linalg import row_leverages
from algos.lp_embeddings import bounds
from algos.lp_embeddings._dual_certificate import DualCertificate, are_real, is_finite_array
from algos.lp_embeddings._quantile_problem import append_ones, check_problem
from algos.lp_embeddings._row_balance import balanced_whitening, reach

__all__ = ["NonCrossingCertificate"]

FloatArray = npt.NDArray[np.float64]

_RECOMPUTED = 1e-12
"""Relative difference allowed between a claim and its recomputation: sums in another order, another BLAS, another machine."""
_RESIDUALS = 2e-15
"""Rounding of a residual or a step, relative to the terms of which it is the difference."""
_EQUATIONS = 1e-12
"""Rounding of the whitened equations, whose columns have unit length."""
_HIDDEN_GAP = 1e-6
"""Rounding beyond this share of the objective hides false claims: coefficients that are huge and cancel must not buy it."""
_ZERO = 1e-13
"""Objectives below this share of the responses are zero up to rounding; nothing finer is told apart there."""
_OVERFLOW = 1e300
_ROWS = 4096


@dataclass(frozen=True, eq=False)
class NonCrossingCertificate(DualCertificate):
    r"""Coefficients of k quantiles, duals and multipliers, and what they prove together.

    The statement is: the fitted values of the levels increase at every row with a positive weight; the losses of the levels sum to
    `objective`; no coefficients whose fitted values increase at these rows reach less than `dual_bound`. The proof is weak duality: for
    :math:`y_j` in the box of level j, :math:`m_j\ge0` and :math:`e_j = A^\top(y_j + m_{j-1} - m_j)`,

    .. math::
        \sum_j P_j(x_j) \ge \sum_j (b - A\hat x_j)\cdot y_j - \sum_j m_j\cdot A(\hat x_{j+1} - \hat x_j)
        - 2c\,P(\hat x)\sum_j \frac{|R^{-\top}e_j|_2}{\min(t_j, 1 - t_j)},

    with the notation of `QuantileCertificate`; the last term is rounding for duals that meet their equations.

    Attributes
    ----------
    quantiles : ndarray of shape (k,)
        Levels t, increasing.
    coef : ndarray of shape (k, d)
        Coefficients; the intercepts last if there are any.
    dual : ndarray of shape (k, n)
        One number for each level and row, in the box of the level.
    multipliers : ndarray of shape (k - 1, n)
        Nonnegative numbers, for the order of each level and the next one.
    objective, dual_bound, gap : float
        The claims.
    fit_intercept : bool
        Whether a column of ones is appended to the data before checking.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import QuantilePath
    >>> X, y = np.arange(8.0)[:, None], np.array([0.0, 9.0, 1.0, 5.0, 5.0, 5.0, 5.0, 4.0])
    >>> certificate = QuantilePath([0.4, 0.5, 0.6], non_crossing="constrain").fit(X, y).joint_certificates_[0]
    >>> certificate.verify(X, y), certificate.verify(X, 2.0 * y)
    (True, False)
    """

    quantiles: FloatArray
    coef: FloatArray
    dual: FloatArray
    multipliers: FloatArray
    objective: float
    dual_bound: float
    gap: float
    fit_intercept: bool = False

    _arrays: ClassVar[tuple[str, ...]] = ("quantiles", "coef", "dual", "multipliers")

    def verify(self, A: npt.ArrayLike, b: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> bool:
        """Recompute every claim from the data; nothing but the arrays is believed.

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
            False if the arrays do not fit the data, the fitted values cross at a row, a dual leaves its box, a multiplier is negative, a
            claim is better than what they prove, or the terms of the fitted values cancel so far that float64 cannot tell.

        Raises
        ------
        ValueError
            If the data themselves are malformed (NaN, infinite, shapes that do not match each other).
        """
        data, _ = check_problem(A, b, 0.5, sample_weight, merge=False)
        t, w = np.asarray(self.quantiles), data.weights
        if not (are_real(self.objective, self.dual_bound, self.gap) and t.ndim == 1 and self._fits(data.shape[1], len(w), t)):
            return False
        duals, multipliers = np.asarray(self.dual), np.asarray(self.multipliers)
        if np.any(duals > w * t[:, None]) or np.any(duals < w * (t[:, None] - 1.0)) or np.any(multipliers < 0.0):
            return False
        if np.any(multipliers[:, w == 0.0]):
            return False
        rows = append_ones(data.A) if self.fit_intercept else data.A
        seen = _recompute(rows, data.b, w, t, np.asarray(self.coef), duals, multipliers)
        if seen is None:
            return False
        objective, slack, open_size, size, unmet = seen
        hidden = _RESIDUALS * max(1e-2 * size, open_size)
        if hidden > _HIDDEN_GAP * objective and objective > _ZERO * size:
            return False
        white, scale = balanced_whitening(rows, None if sample_weight is None else w)
        price = rounding_price = 0.0
        if white.rank:
            factor = reach(np.sqrt(row_leverages(rows, white.R_inv)), scale, w)
            lengths = np.linalg.norm((white.R_inv.T @ unmet).astype(np.float64), axis=0)
            price = bounds.joint_equation_price(unmet=lengths, reach=factor, objective=objective, levels=t)
            rounding_price = bounds.joint_equation_price(unmet=np.full(len(t), _EQUATIONS), reach=factor, objective=objective, levels=t)
        slack += price
        allowed = _RECOMPUTED * objective + _RESIDUALS * open_size + rounding_price
        rounding = allowed + _RESIDUALS * size
        if objective <= _ZERO * size:
            allowed = rounding = _ZERO * size
        relative = max(objective, 1e-14 * float(w @ np.abs(data.b)), np.finfo(float).tiny)
        return rounding < math.inf and bool(
            abs(objective - self.objective) <= rounding
            and self.dual_bound <= objective - slack + rounding
            and slack <= self.gap * relative + allowed
            and self.gap >= 0.0
        )

    def _fits(self, columns: int, n: int, t: FloatArray) -> bool:
        k = len(t)
        shapes = {"quantiles": (k,), "coef": (k, columns + bool(self.fit_intercept)), "dual": (k, n), "multipliers": (k - 1, n)}
        if k == 0 or not all(is_finite_array(np.asarray(getattr(self, name)), shape) for name, shape in shapes.items()):
            return False
        return bool(t[0] > 0.0 and t[-1] < 1.0 and np.all(np.diff(t) > 0.0))

    def explain(self) -> str:
        """Return the statement in words, with its numbers."""
        levels = ", ".join(f"{t:g}" for t in self.quantiles)
        return (
            f"The fits at the quantiles {levels} increase at each of {self.dual.shape[1]} rows, and their losses sum to "
            f"{self.objective:.10g}. The duals and multipliers prove that no fits that do not cross there have a sum below "
            f"{self.dual_bound:.10g}: it is within a relative gap of {self.gap:.2e} of the smallest. "
            "verify(A, b) recomputes all of this from the data."
        )


def _recompute(
    rows: Any, b: FloatArray, w: FloatArray, t: FloatArray, coef: FloatArray, duals: FloatArray, multipliers: FloatArray
) -> tuple[float, float, float, float, npt.NDArray[np.longdouble]] | None:
    """Return the summed loss, its distance from the Lagrangian, the size of what both sum, and the residuals of the equations.

    None if fitted values cross by more than the rounding of their difference, or overflow.
    """
    losses, slacks, open_sizes, sizes = [], [], [], []
    unmet = np.zeros((rows.shape[1], len(t)), dtype=np.longdouble)
    for start in range(0, len(b), _ROWS):
        here = slice(start, start + _ROWS)
        part = rows[here].astype(np.float64)
        with np.errstate(over="ignore"):
            terms = (abs(part) @ np.abs(coef).T).T
        if not float(terms.max(initial=0.0)) < _OVERFLOW:
            return None
        fitted = (part @ coef.T).T
        steps, step_sizes = np.diff(fitted, axis=0), terms[1:] + terms[:-1]
        if np.any((steps < -_RESIDUALS * step_sizes) & (w[here] > 0.0)):
            return None
        residual, m, y = b[here] - fitted, multipliers[:, here], duals[:, here]
        slope = w[here] * np.where(residual > 0.0, t[:, None], t[:, None] - 1.0)
        losses.append(float(np.sum(slope * residual)))
        slacks.append(float(np.sum((slope - y) * residual)) + float(np.sum(m * steps)))
        open_sizes.append(float(np.sum(np.abs(slope - y) * (np.abs(b[here]) + terms))) + float(np.sum(m * step_sizes)))
        sizes.append(float(np.sum(w[here] * (np.abs(b[here]) + terms))))
        total = y.astype(np.longdouble)
        total[:-1] -= m
        total[1:] += m
        unmet += part.T.astype(np.longdouble) @ total.T
    return math.fsum(losses), math.fsum(slacks), math.fsum(open_sizes), math.fsum(sizes), unmet
