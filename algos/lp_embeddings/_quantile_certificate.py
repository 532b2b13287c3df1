"""A proof of near-optimality of a quantile regression that can be stored, sent, and checked from the data alone."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.linalg import row_leverages
from algos.lp_embeddings._dual_certificate import DualCertificate, are_real, is_finite_vector
from algos.lp_embeddings._quantile_problem import append_ones, check_problem
from algos.lp_embeddings._row_balance import balanced_whitening, reach

__all__ = ["QuantileCertificate"]

FloatArray = npt.NDArray[np.float64]

_RECOMPUTED = 1e-12
"""Relative difference allowed between a claim and its recomputation: sums in another order, another BLAS, another machine."""
_RESIDUALS = 2e-15
"""Rounding of a residual, relative to the terms of which it is the difference."""
_EQUATIONS = 1e-12
"""Rounding of the whitened equations, whose columns have unit length; badly conditioned ones are treated in extended precision."""
_HIDDEN_GAP = 1e-6
"""Rounding of the gap beyond this share of the objective hides false claims: coefficients that are huge and cancel must not buy it."""
_HIDDEN = 1e-2
"""The objective, in which every row has its rounding and not only those that the dual leaves open, may have 1 / _HIDDEN as much."""
_ZERO = 1e-13
"""Objectives below this share of the responses are zero up to rounding; nothing finer is told apart there."""

_OVERFLOW = 1e300
"""Fitted values of this size, which no data allow, are not worked with."""

_ROWS = 4096


@dataclass(frozen=True, eq=False)
class QuantileCertificate(DualCertificate):
    r"""Coefficients, a dual vector, and what the two prove together.

    The statement is: the objective of `coef` on the data is `objective`, no coefficients reach less than `dual_bound`, hence the
    objective is within the relative `gap` of the optimum. The proof is weak duality: for y in the box ``w (t - 1) <= y <= w t``,

    .. math::
        \min_x P(x) \ge (b - A \hat x) \cdot y - \frac{2 \sqrt\tau \, |R^{-\top} A^\top y|_2}{\min(t, 1 - t)} P(\hat x),

    with R the triangular factor of ``diag(w) A`` and :math:`\tau` its largest leverage score; other multipliers stand in for weights that
    differ by many orders of magnitude. The last term is rounding for a dual that meets its equations. Columns that are dependent up to
    rounding, in the table with these multipliers, count as dependent.

    Attributes
    ----------
    quantile : float
        t.
    coef : ndarray of shape (d,)
        Coefficients; the intercept last if there is one.
    dual : ndarray of shape (n,)
        One number per row, in the box.
    objective, dual_bound, gap : float
        The claims.
    fit_intercept : bool
        Whether a column of ones is appended to the data before checking.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import certified_quantile
    >>> A, b = np.ones((5, 1)), np.array([1.0, 2.0, 3.0, 10.0, 50.0])
    >>> certificate = certified_quantile(A, b).certificate
    >>> certificate.verify(A, b)
    True
    >>> certificate.verify(A, b + np.arange(5.0))
    False
    """

    quantile: float
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
            False if the vectors do not fit the data, the dual leaves its box, a claim is better than what they prove, or the terms of
            ``A @ coef`` cancel so far that float64 cannot tell: rounding above 1e-4 of the objective, or 1e-6 of it in the gap.

        Raises
        ------
        ValueError
            If the data themselves are malformed (NaN, infinite, shapes that do not match each other).
        """
        well_formed = are_real(self.quantile, self.objective, self.dual_bound, self.gap) and 0.0 < self.quantile < 1.0
        data, t = check_problem(A, b, self.quantile if well_formed else 0.5, sample_weight, merge=False)
        coef, y, w = np.asarray(self.coef), np.asarray(self.dual), data.weights
        if not (well_formed and is_finite_vector(coef, data.shape[1] + bool(self.fit_intercept)) and is_finite_vector(y, len(data.b))):
            return False
        if np.any(y > w * t) or np.any(y < w * (t - 1.0)):
            return False
        rows = append_ones(data.A) if self.fit_intercept else data.A
        size, fitted_size = float(w @ np.abs(data.b)), _fitted_size(rows, w, coef)
        if not fitted_size < _OVERFLOW:
            return False
        objective, slack, unmet, open_size = _recompute(rows, data.b, w, t, coef, y)
        hidden = _RESIDUALS * max(_HIDDEN * (size + fitted_size), open_size)
        if hidden > _HIDDEN_GAP * objective and objective > _ZERO * size:
            return False
        missed, factor = _equation_error(rows, None if sample_weight is None else w, w, unmet)
        price = 2.0 * factor * objective / min(t, 1.0 - t)
        slack += price * missed
        rounding_gap = _RECOMPUTED * objective + _RESIDUALS * open_size + _EQUATIONS * price
        rounding = rounding_gap + _RESIDUALS * (size + fitted_size)
        if objective <= _ZERO * size:
            rounding_gap = rounding = _ZERO * size
        relative = max(objective, 1e-14 * size, np.finfo(float).tiny)
        return rounding < math.inf and bool(
            abs(objective - self.objective) <= rounding
            and self.dual_bound <= objective - slack + rounding
            and slack <= self.gap * relative + rounding_gap
            and self.gap >= 0.0
        )

    def explain(self) -> str:
        """Return the statement in words, with its numbers."""
        return (
            f"These {len(self.coef)} coefficients have pinball loss {self.objective:.10g} at quantile {self.quantile:g} "
            f"over {len(self.dual)} rows. "
            f"The dual vector proves that no coefficients do better than {self.dual_bound:.10g}: "
            f"the loss is within a relative gap of {self.gap:.2e} of the optimum. "
            "verify(A, b) recomputes both numbers from the data."
        )


def _equation_error(rows: Any, scale: FloatArray | None, w: FloatArray, unmet: npt.NDArray[np.longdouble]) -> tuple[float, float]:
    """Return the length of the whitened residual of the equations, and the factor with which it enters."""
    white, scale = balanced_whitening(rows, scale)
    if white.rank == 0:
        return 0.0, 0.0
    length = np.linalg.norm((white.R_inv.T @ unmet).astype(np.float64))
    return float(length), reach(np.sqrt(row_leverages(rows, white.R_inv)), scale, w)


def _fitted_size(rows: Any, w: FloatArray, coef: FloatArray) -> float:
    """Return the size of the terms of ``diag(w) A coef``, which may be far larger than their sum; infinite where floats end."""
    size = 0.0
    with np.errstate(over="ignore"):
        for start in range(0, len(w), _ROWS):
            here = slice(start, start + _ROWS)
            size += float(w[here] @ (abs(rows[here].astype(np.float64)) @ np.abs(coef)))
    return size


def _recompute(
    rows: Any, b: FloatArray, w: FloatArray, t: float, coef: FloatArray, y: FloatArray
) -> tuple[float, float, npt.NDArray[np.longdouble], float]:
    """Return the loss, its distance from ``residual . y``, ``A.T y`` in extended precision, and the size of what that distance sums."""
    losses, slacks, sizes = [], [], []
    unmet = np.zeros(rows.shape[1], dtype=np.longdouble)
    for start in range(0, len(b), _ROWS):
        here = slice(start, start + _ROWS)
        part = rows[here].astype(np.float64)
        residual = b[here] - part @ coef
        slope = w[here] * np.where(residual > 0, t, t - 1.0)
        losses.append(float(slope @ residual))
        slacks.append(float((slope - y[here]) @ residual))
        sizes.append(float(np.abs(slope - y[here]) @ (np.abs(b[here]) + abs(part) @ np.abs(coef))))
        unmet += part.T.astype(np.longdouble) @ y[here]
    return math.fsum(losses), math.fsum(slacks), unmet, math.fsum(sizes)
