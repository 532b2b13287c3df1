"""What the solver of lp regressions needs from a tall table: norms, weighted normal equations, and the bound that a dual proves."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.linalg import row_leverages
from algos.lp_embeddings import bounds
from algos.lp_embeddings._lp_kernels import dual_power_sum, power_sum
from algos.lp_embeddings._quantile_problem import EXTENDED_CONDITION, Geometry, QuantileData, minimum_norm_basis, row_parts
from algos.lp_embeddings._row_balance import balanced_whitening

FloatArray = npt.NDArray[np.float64]

_FLOOR = 1e-14  # size of the rounding error of a norm, relative to the norm of b


@dataclass(frozen=True)
class LpProblem:
    """Minimise ``(sum w |b - A x|^p)^(1/p)`` with p > 1, weights of mean one, and a basis that whitens ``diag(scale) A``.

    `unit` is the factor by which norms here are smaller than those of the caller, whose weights need not have mean one.
    """

    A: Any
    b: FloatArray
    weights: FloatArray
    p: float
    shape: Geometry
    unit: float = 1.0

    @property
    def conjugate(self) -> float:
        """The exponent p' of the dual norm, ``1/p + 1/p' = 1``."""
        return self.p / (self.p - 1.0)

    @property
    def floor(self) -> float:
        """Differences of norms below this are rounding."""
        return _FLOOR * self.norm(self.b)

    def norm(self, values: FloatArray) -> float:
        """Weighted lp norm of one number per row, at any scale."""
        largest = float(np.max(np.abs(values)))
        if largest == 0.0:
            return 0.0
        return largest * math.pow(power_sum(values, self.weights, largest, self.p), 1.0 / self.p)

    def dual_norm(self, dual: FloatArray) -> float:
        """Norm with ``y . r <= dual_norm(y) * norm(r)``, attained for every y by some r."""
        largest = float(np.max(np.abs(dual) / self.weights))
        if largest == 0.0:
            return 0.0
        return largest * math.pow(dual_power_sum(dual, self.weights, largest, self.conjugate), 1.0 / self.conjugate)

    @property
    def leverages(self) -> FloatArray:
        """Leverage scores of ``diag(scale) A``, where `scale` is ``weights**(1 / p)`` or what stands in for it."""
        scale = 1.0 if self.shape.scale is None else self.shape.scale
        return np.square(scale * self.shape.spread)

    def equation_price(self) -> float:
        """Return k with ``|diag(scale) A z|_2 <= k |diag(w^(1/p)) A z|_p`` for every z."""
        scale = np.ones_like(self.weights) if self.shape.scale is None else self.shape.scale
        return bounds.norm_comparison(p=self.p, leverages=self.leverages, ratios=scale / self.weights ** (1.0 / self.p))

    def residual(self, coef: FloatArray, *, extended: bool = False) -> FloatArray:
        """Return ``b - A coef``; in extended precision on demand, where large terms of ``A coef`` cancel."""
        if not extended:
            return self.b - self.fitted(coef)
        out, precise = np.empty(len(self.b)), coef.astype(np.longdouble)
        for start, part in row_parts(self.A):
            here = slice(start, start + part.shape[0])
            out[here] = self.b[here] - part.astype(np.longdouble) @ precise
        return out

    def fitted(self, coef: FloatArray) -> FloatArray:
        """Return ``A coef``."""
        out = np.empty(len(self.b))
        for start, part in row_parts(self.A):
            out[start : start + part.shape[0]] = part @ coef
        return out

    def transposed(self, values: FloatArray, *, extended: bool = False) -> FloatArray:
        """Return ``A.T values``, in extended precision on demand."""
        total = np.zeros(self.A.shape[1], dtype=np.longdouble)
        for start, part in row_parts(self.A):
            total += (part.astype(np.longdouble) if extended else part).T @ values[start : start + part.shape[0]]
        return total.astype(np.float64)

    def shortest(self, coef: FloatArray) -> FloatArray:
        """Return the coefficients of minimum norm with the same fitted values."""
        fitted = self.fitted(coef)
        squares = fitted if self.shape.scale is None else self.shape.scale**2 * fitted
        shortest: FloatArray = self.shape.basis @ (self.shape.basis.T @ self.transposed(squares))
        return shortest

    def at_exponent(self, p: float) -> "LpProblem":
        """Return the same data under another norm, for a preliminary fit; prices of that problem mean nothing."""
        return replace(self, p=p)


@dataclass(frozen=True)
class LpProof:
    """What (coef, dual) prove: norms below ``objective - slack`` are impossible. `unmet` is the residual of the equations."""

    objective: float
    slack: float
    price: float
    unmet: FloatArray


def lp_problem(data: QuantileData, p: float, *, intercept: bool = False) -> LpProblem:
    """Whiten the rows of checked data, multiplied by the p-th roots of their weights unless these differ too much."""
    mean = float(data.weights.mean())
    weights = data.weights / mean
    white, scale = balanced_whitening(data.A, None if data.uniform_weights else weights ** (1.0 / p))
    unit = mean ** (1.0 / p)
    if white.rank == 0:
        return LpProblem(data.A, data.b, weights, p, Geometry(white.R_inv, np.zeros(len(weights))), unit)
    basis = white.R_inv
    if white.rank < data.shape[1]:
        basis = minimum_norm_basis(data.A, basis, intercept)
    shape = Geometry(basis, np.sqrt(row_leverages(data.A, basis)), white.cond > EXTENDED_CONDITION, scale=scale)
    return LpProblem(data.A, data.b, weights, p, shape, unit)


def lp_proof(problem: LpProblem, coef: FloatArray, dual: FloatArray) -> LpProof:
    r"""Lower bound on the smallest norm from any vector, reading the table once.

    For every x with ``|b - A x| <= |b - A coef| = P``, z = x - coef and e = A^T y,

    .. math:: |y|_{p'} |b - A x|_p \ge (b - A x) \cdot y = (b - A \hat x) \cdot y - e \cdot z, \qquad
              |e \cdot z| \le |R^{-\top} e|_2 |S A z|_2 \le k |R^{-\top} e|_2 |A z|_p \le 2 k |R^{-\top} e|_2 P .

    So a vector that misses its equations proves less, and nothing false (derived: docs/theory/lp_embeddings.md, "The dual norm").
    """
    extended = problem.shape.extended
    objective, length = problem.norm(problem.residual(coef, extended=extended)), problem.dual_norm(dual)
    unmet = problem.transposed(dual, extended=extended)
    if length == 0.0:
        return LpProof(objective, objective, 0.0, unmet)
    price = 2.0 * problem.equation_price() * float(np.linalg.norm(problem.shape.basis.T @ unmet)) * objective / length
    # (b - A coef) . y, without the rounding of the residuals
    reached = (
        math.fsum(float(dual[k : k + 4096] @ problem.b[k : k + 4096]) for k in range(0, len(dual), 4096)) - float(unmet @ coef)
    ) / length
    return LpProof(objective, min(max(objective - reached, 0.0) + price, objective), price, unmet)
