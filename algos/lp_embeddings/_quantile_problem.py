"""What the quantile solvers need from a tall table: checked data, one whitening, and passes over all rows.

A pass multiplies a block of rows by the coefficients, turns the residuals into slopes, and multiplies back while the block is still in
cache, so a pass reads the table once. Blocks have a fixed size and their sums are added exactly: results do not depend on threads.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from algos.common.linalg import row_leverages
from algos.common.validation import canonical_array, check_finite_rows, check_range, is_sparse
from algos.lp_embeddings._quantile_kernels import duality_block, pinball_block, row_hashes
from algos.lp_embeddings._row_balance import balanced_whitening, reach
from algos.lp_embeddings.bounds import gap_of_slack

FloatArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

_BLOCK_ROWS = 4096  # 4096 x 20 doubles stay in the second-level cache between the two products
_SPARSE_BLOCK_ROWS = 2**16  # slicing a sparse matrix has a fixed cost
_MERGE_ROWS = 100_000  # below, rows are always searched for duplicates; above, only when the caller speaks about weights
EXTENDED_CONDITION = 1e4  # up to here the rounding of A.T @ y, times the condition number, stays far below every gap of interest
_FLOOR = 1e-14  # size of the rounding error of an objective, relative to sum w |b|


@dataclass(frozen=True)
class QuantileData:
    """Checked rows of one quantile regression. `origin` maps rows of the caller to rows here (-1: weight zero)."""

    A: Any
    b: FloatArray
    weights: FloatArray
    origin: Rows | None
    given_weights: FloatArray | None
    uniform_weights: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the table."""
        return int(self.A.shape[0]), int(self.A.shape[1])

    @property
    def floor(self) -> float:
        """Differences of the objective below this are rounding."""
        return _FLOOR * float(self.weights @ np.abs(self.b))

    def rows(self, index: Rows | slice) -> FloatArray:
        """Return a few rows as a dense float64 table."""
        part = self.A[index]
        return np.ascontiguousarray(part.toarray() if is_sparse(part) else part, dtype=np.float64)

    def original_dual(self, dual: FloatArray) -> FloatArray:
        """Spread the dual of merged rows over the caller's rows in proportion to their weights."""
        if self.origin is None or self.given_weights is None:
            return dual
        share = self.given_weights / np.where(self.origin >= 0, self.weights[self.origin], 1.0)
        return np.where(self.origin >= 0, dual[self.origin] * share, 0.0)


@dataclass(frozen=True)
class Geometry:
    """Basis in which the columns are orthonormal, and the length of every row in it.

    `basis` is (d, rank) with ``diag(scale) A basis`` orthonormal and its columns in the row space of A, so that coefficients
    ``basis @ x`` have minimum norm; `scale` is the weights unless they differ too much, None for ones. `spread` is (n,): ``|a_i basis|``,
    by which the fitted value of a row varies. `extended` asks for extended precision where the rounding of ``A.T @ y`` would be magnified
    by the condition number. `reach` bounds ``|diag(scale) A z|_2`` by ``|diag(w) A z|_1``.
    """

    basis: FloatArray
    spread: FloatArray
    extended: bool = False
    reach: float = math.inf
    scale: FloatArray | None = None


@dataclass(frozen=True)
class Pass:
    """One pass over all rows at `coef`: residuals, their slopes, the objective, and ``pull = A.T @ slope``, minus a subgradient."""

    coef: FloatArray
    residual: FloatArray
    slope: FloatArray
    objective: float
    pull: FloatArray


@dataclass(frozen=True)
class Duality:
    """What a pair (coef, dual) proves: ``lower = objective - slack``, with the slack a sum of nonnegative terms.

    `price` is the term of the slack that is due to dual equations which are not met, `unmet` their whitened residual.
    """

    residual: FloatArray
    objective: float
    slack: float
    price: float
    unmet: FloatArray


def check_problem(
    A: npt.ArrayLike, b: npt.ArrayLike, t: float, sample_weight: npt.ArrayLike | None, *, merge: bool = True
) -> tuple[QuantileData, float]:
    """Check the arguments of a quantile regression, drop rows of weight zero and merge identical rows."""
    t = check_range(t, name="t", low=0.0, high=1.0, low_open=True, high_open=True)
    table = canonical_array(A, name="A", sparse=True, check_finite=False)
    n = int(table.shape[0])
    if n <= _MERGE_ROWS or sample_weight is not None:  # else the whitening notices, at no cost, before anything is returned
        check_finite_rows(table.data.reshape(-1, 1) if is_sparse(table) else table, name="A")
    response = _column(b, n, "b", "one response for each row of A", 1e200)
    weights = None if sample_weight is None else _check_weights(sample_weight, n)
    if merge:
        return _merged(table, response, weights), t
    plain = np.ones(n) if weights is None else weights
    return QuantileData(table, response, plain, None, None, weights is None), t


def _column(values: npt.ArrayLike, n: int, name: str, rule: str, limit: float) -> FloatArray:
    vector = np.asarray(values)
    if vector.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), {rule}, got {vector.shape}; pass a vector of that length.")
    checked = canonical_array(vector.reshape(-1, 1), name=name).ravel()
    largest = float(np.max(np.abs(checked)))
    if largest > limit:
        raise ValueError(f"{name} has an entry of size {largest:g}, beyond {limit:g} sums may overflow; divide {name} by a constant.")
    # compiled loops take writable arrays as another type than read-only ones
    return np.require(checked, dtype=np.float64, requirements=["C", "W"])


def _check_weights(sample_weight: npt.ArrayLike, n: int) -> FloatArray:
    weights = _column(sample_weight, n, "sample_weight", "one weight for each row of A", 1e100)
    if np.any(weights < 0):
        raise ValueError(f"sample_weight must not be negative, got a minimum of {weights.min():g}; clip the weights at zero.")
    if not np.any(weights > 0):
        raise ValueError("sample_weight must have a positive entry, got only zeros; give weight to at least one row.")
    if weights.max() < 1e-100:
        raise ValueError(
            f"sample_weight has no entry above 1e-100, got a maximum of {weights.max():g}; multiply sample_weight by a constant."
        )
    return weights


def _merged(A: Any, b: FloatArray, weights: FloatArray | None) -> QuantileData:
    """Merge identical rows of [A b]; the loss is linear in weights, so the merged problem is the same one.

    Merging makes an integer weight and a repeated row the same input, bit for bit, also where the minimiser is not unique; the order by
    hash makes it independent of the order of the rows.
    """
    n = len(b)
    plain = QuantileData(A, b, np.ones(n), None, None, True)
    if weights is None and n > _MERGE_ROWS:
        return plain
    given = np.ones(n) if weights is None else weights
    kept = np.flatnonzero(given > 0)
    hashes = _hashes(A, b)[kept]
    order = kept[np.argsort(hashes, kind="stable")]
    first = np.ones(len(order), dtype=bool)
    first[1:] = np.diff(np.sort(hashes)) != 0
    followers = np.flatnonzero(~first)
    if weights is None and not len(followers) and n > _MERGE_ROWS // 10:
        return plain
    if not _rows_equal(A, b, order[followers], order[followers - 1]):  # two different rows with one hash: possible, never seen
        first[:] = True
    group = np.cumsum(first) - 1
    origin = np.full(n, -1, dtype=np.intp)
    origin[order] = group
    chosen = order[first]
    merged: FloatArray = np.bincount(group, weights=given[order], minlength=len(chosen)).astype(np.float64)
    return QuantileData(A[chosen], b[chosen], merged, origin, given, bool(np.all(merged == 1.0)))


def _hashes(A: Any, b: FloatArray) -> npt.NDArray[np.uint64]:
    out = np.empty(len(b), dtype=np.uint64)
    for start, part in row_parts(A):
        stop = start + part.shape[0]
        dense = part.toarray() if is_sparse(part) else part
        row_hashes(dense + 0.0, b[start:stop] + 0.0, out[start:stop])  # -0.0 becomes 0.0
    return out


def _rows_equal(A: Any, b: FloatArray, left: Rows, right: Rows) -> bool:
    if not np.array_equal(b[left], b[right]):
        return False
    difference = A[left] - A[right]
    return not (difference.count_nonzero() if is_sparse(difference) else np.any(difference))


def row_parts(A: Any) -> Iterator[tuple[int, Any]]:
    """Row blocks in float64: contiguous views, slices of a sparse matrix, or converted copies of one block at a time."""
    rows = _SPARSE_BLOCK_ROWS if is_sparse(A) else _BLOCK_ROWS
    for start in range(0, A.shape[0], rows):
        part = A[start : start + rows]
        if part.dtype != np.float64:
            part = part.astype(np.float64)
        yield start, part


def append_ones(A: Any) -> Any:
    """Return the table with a last column of ones, for an intercept."""
    ones = np.ones((A.shape[0], 1), dtype=A.dtype)
    return sp.hstack([A, sp.csr_array(ones)], format="csr") if is_sparse(A) else np.hstack([A, ones])


def geometry(data: QuantileData, *, intercept: bool = False) -> Geometry:
    """Whiten the weighted table and measure every row in the whitened basis.

    With `intercept` the last column is free: minimum norm then means the other coefficients only.
    """
    white, scale = balanced_whitening(data.A, None if data.uniform_weights else data.weights)
    if white.rank == 0:
        return Geometry(white.R_inv, np.zeros(data.shape[0]), reach=0.0)
    basis = white.R_inv
    if white.rank < data.shape[1]:
        basis = minimum_norm_basis(data.A, basis, intercept)
    spread = np.sqrt(row_leverages(data.A, basis))
    return Geometry(basis, spread, white.cond > EXTENDED_CONDITION, reach(spread, scale, data.weights), scale)


def minimum_norm_basis(A: Any, basis: FloatArray, intercept: bool) -> FloatArray:
    """Change `basis` by null vectors of A so that ``basis @ x`` is the shortest among all coefficients with the same fit."""
    d, rank = basis.shape
    span = np.zeros((d, rank))
    for _, part in row_parts(A):
        span += part.T @ (part @ basis)
    length = np.linalg.norm(span, axis=0)
    q = np.linalg.qr(span / np.where(length > 0, length, 1.0), mode="complete")[0]
    null = q[:, rank:]
    measured = null[:-1] if intercept else null
    change: FloatArray = null @ np.linalg.lstsq(measured, basis[: len(measured)], rcond=None)[0]
    return basis - change


def loss_pass(data: QuantileData, t: float, coef: FloatArray) -> Pass:
    """Residuals, objective and full subgradient at `coef`, reading the table once."""
    n, d = data.shape
    residual, slope, pull = np.empty(n), np.empty(n), np.zeros(d, dtype=np.longdouble)
    sums = []
    for start, part in row_parts(data.A):
        here = slice(start, start + part.shape[0])
        np.subtract(data.b[here], part @ coef, out=residual[here])
        sums.append(pinball_block(residual[here], data.weights[here], t, slope[here]))
        pull += part.T @ slope[here]
    return Pass(coef, residual, slope, math.fsum(sums), pull.astype(np.float64))


def duality(data: QuantileData, t: float, coef: FloatArray, dual: FloatArray, shape: Geometry) -> Duality:
    r"""Lower bound on the optimum from any `dual` in its box, reading the table once.

    For every x, ``P(x) >= (b - A x) . y = (b - A coef) . y - e . z`` with ``e = A^T y`` and ``z = x - coef``. At a minimiser x
    ``|e . z| <= |basis^T e| |S A z|_2`` with S the scale of the geometry, which is W as a rule. Then ``|S A z|_2 <= reach |W A z|_1``, with
    reach the root of the largest leverage score for S = W, because no entry of S A z exceeds the root of its leverage score times
    ``|S A z|_2``; finally ``|W A z|_1 <= 2 P(coef) / min(t, 1 - t)`` because ``P(x) <= P(coef)``.
    So a dual that misses its equations still proves something, and what it loses is a term of the slack
    (derived: docs/theory/lp_embeddings.md).
    """
    n, d = data.shape
    residual, error = np.empty(n), np.zeros(d, dtype=np.longdouble)  # so that rounding does not grow with n
    totals, slacks = [], []
    for start, part in row_parts(data.A):
        here = slice(start, start + part.shape[0])
        np.subtract(data.b[here], part @ coef, out=residual[here])
        total, slack = duality_block(residual[here], data.weights[here], t, dual[here])
        totals.append(total)
        slacks.append(slack)
        error += (part.astype(np.longdouble) if shape.extended else part).T @ dual[here]
    objective = math.fsum(totals)
    unmet = (shape.basis.T @ error).astype(np.float64)
    price = 2.0 * shape.reach * float(np.linalg.norm(unmet)) * objective / min(t, 1.0 - t)
    return Duality(residual, objective, math.fsum(slacks) + price, price, unmet)


def relative_gap(objective: float, slack: float, floor: float) -> float:
    """Gap relative to the objective; 0 when the objective itself is zero up to rounding."""
    return gap_of_slack(primal=objective, slack=slack, floor=floor)
