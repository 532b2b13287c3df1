"""One evaluation of the Lewis map: a reweighted leverage computation, and what it says about the weights."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from algos.common.blocks import Block, RowSource, tree_sum
from algos.common.linalg import Whitening, row_leverages, whitening
from algos.common.row_products import ScaledTable
from algos.common.validation import is_sparse

__all__ = ["SMALLEST", "LewisMap", "LewisPoint"]

FloatArray = npt.NDArray[np.float64]

_LOG_LARGEST = 230.0  # multipliers beyond exp(230) square to infinity: such a Gram matrix is not used
_TINY = 1e-300  # stands for a leverage score that underflowed although its row is not zero
SMALLEST = 2.0 * _TINY
"""Leverage scores below may be such stand-ins."""


@dataclass(frozen=True, eq=False)
class LewisPoint:
    """The map T evaluated at weights v that sum to the rank.

    Attributes
    ----------
    v, log_v : ndarray of shape (n,)
        Weights and their logarithms; at zero rows the weight is 0 and the logarithm is not used.
    log_ratio : ndarray of shape (n,)
        ``ln(T(v) / v)``, which is p/2 times ``ln(t / v)`` with t the leverage scores of the reweighted table. 0 at zero rows.
    logdet : float
        Log-determinant of the reweighted Gram matrix.
    """

    v: FloatArray
    log_v: FloatArray
    log_ratio: FloatArray
    logdet: float

    @property
    def residual(self) -> float:
        """Largest absolute entry of ``log_ratio``."""
        return max(float(self.log_ratio.max()), -float(self.log_ratio.min()))

    @property
    def spread(self) -> float:
        """Largest minus smallest entry of ``log_ratio``: the residual without the scale of the weights."""
        return float(self.log_ratio.max()) - float(self.log_ratio.min())

    def leverages(self, p: float) -> FloatArray:
        """Leverage scores of the reweighted table."""
        return np.asarray(self.v * np.exp((2.0 / p) * self.log_ratio))

    def overshoot(self, p: float) -> float:
        """Largest ratio of a leverage score of the reweighted table to its weight."""
        return math.exp((2.0 / p) * float(self.log_ratio.max()))


class LewisMap:
    r"""The map :math:`T(v)_i = (a_i^\top(A^\top V^{1-2/p}A)^{-1}a_i)^{p/2}` of a table.

    Parameters
    ----------
    source : RowSource
        The table, of any rank; dependent columns are dropped, which changes no leverage score.
    p : float
        Exponent.
    rtol : float
        Accuracy of the leverage scores.
    ahead : float, default=0.0
        Length of the relaxed step that usually comes next. While a pass computes leverage scores it then adds up the Gram matrix of
        the next weights as well, from the rows at hand, so that an evaluation reads the table once. 0: two reads, nothing in advance.

    Attributes
    ----------
    rank : int
        Rank of the table.
    live : ndarray of shape (n,), bool
        Rows that are not zero.
    """

    def __init__(self, source: RowSource, p: float, rtol: float, ahead: float = 0.0) -> None:
        self.p, self.rtol, self._ahead = p, rtol, ahead
        self._next: _Foreseen | None = None
        white = whitening(source, rtol=rtol)
        self.rank = white.rank
        if 0 < self.rank < source.n_features:
            source = RowSource(_ColumnSubset(source, _independent_columns(source, self.rank)))
            white = whitening(source, rtol=rtol)
        self._source = source
        self._plain = white, self._leverages(white, None, None)
        self.live = self._plain[1] > 0.0
        if self.rank and not self.live.all():
            self.live |= _nonzero_rows(source)
        self._all_live = bool(self.live.all())
        self._keep_what_is_sound(self._plain[1])

    def at_uniform(self) -> LewisPoint:
        """Evaluate at equal weights: the leverage scores of the table itself are known already."""
        return self._point(np.zeros(self.live.size), 0.0, *self._plain)

    def __call__(self, log_v: FloatArray, *, foreseen: bool = False) -> LewisPoint:
        """Evaluate at weights given by their logarithms, of any scale; `foreseen` says that the relaxed step led there."""
        exponent = 0.5 - 1.0 / self.p
        log_scale = exponent * log_v
        known = self._next if foreseen else None
        # in the foreseen case the Gram matrix belongs to multipliers of a certain scale
        top = float(log_scale.max()) if known is None else known.reference + exponent * (float(log_v[known.row]) - known.log_v)
        log_scale -= top
        scale = np.exp(log_scale, out=log_scale)
        white = whitening(self._source, scale=scale, rtol=self.rtol, gram=None if known is None else known.gram)
        leverages = self._leverages(white, log_v, scale)
        self._keep_what_is_sound(leverages)
        return self._point(log_v, top, white, leverages)

    def _leverages(self, white: Whitening, log_v: FloatArray | None, scale: FloatArray | None) -> FloatArray:
        """Leverage scores of the reweighted table, and in the same pass the Gram matrix of the weights after a relaxed step."""
        if self._ahead == 0.0 or white.rank == 0:
            return row_leverages(self._source, white, scale=scale)
        n = self._source.n_rows
        now = np.zeros(n) if log_v is None else log_v
        exponent = 0.5 - 1.0 / self.p
        reference = exponent * float(now.max() if exponent > 0.0 else now.min())
        leverages, row, log_next = np.empty(n), 0, -math.inf

        def gram(block: Block) -> FloatArray:
            nonlocal row, log_next
            here, rows = slice(block.start, block.stop), RowSource(block.X)
            out = row_leverages(rows, white, scale=None if scale is None else scale[here], out=leverages[here])
            after = now[here] + self._ahead * (self.p / 2.0) * (np.log(np.maximum(out, _TINY)) - now[here])
            first = int(np.argmax(out > 0.0))
            if log_next == -math.inf and out[first] > 0.0:
                row, log_next = block.start + first, float(after[first])
            factor = np.exp(np.minimum(exponent * after - reference, _LOG_LARGEST))
            factor[out <= 0.0] = 0.0
            return ScaledTable(rows, factor).gram()

        total = tree_sum(gram(block) for block in self._source)
        self._next = _Foreseen(total, reference, row, log_next) if np.all(np.isfinite(total)) else None
        return leverages

    def _keep_what_is_sound(self, leverages: FloatArray) -> None:
        """Forget the Gram matrix of the next weights if it lacks rows: those whose leverage scores underflowed."""
        if not np.all(leverages[self.live] > 0.0):
            self._next = None

    def _point(self, log_v: FloatArray, log_unit: float, white: Whitening, leverages: FloatArray) -> LewisPoint:
        """Assemble a point; the table was multiplied by ``exp(-log_unit)`` beyond the weights."""
        top = float(log_v.max())
        v = np.exp(log_v - top)
        if not self._all_live:
            v[~self.live] = 0.0
        shift = math.log(self.rank / float(v.sum())) - top
        log_v = log_v + shift
        v *= math.exp(shift + top)
        log_ratio = np.log(np.maximum(leverages, _TINY))
        log_ratio -= log_v
        log_ratio *= self.p / 2.0
        if not self._all_live:
            log_ratio[~self.live] = 0.0
        log_unit += (0.5 - 1.0 / self.p) * shift
        logdet = -math.inf
        if white.R_inv.shape[0] == white.R_inv.shape[1]:
            logdet = 2.0 * (self.rank * log_unit - float(np.linalg.slogdet(white.R_inv)[1]))
        return LewisPoint(v, log_v, log_ratio, logdet)


@dataclass(frozen=True, eq=False)
class _Foreseen:
    """Gram matrix for the weights after a relaxed step.

    The row multipliers are ``exp((1/2 - 1/p) * log_v - reference)``; `log_v` is the logarithm of the weight of `row` among them.
    """

    gram: FloatArray
    reference: float
    row: int
    log_v: float


class _ColumnSubset:
    """Some columns of a table, cut out block by block each time it is read."""

    def __init__(self, source: RowSource, columns: npt.NDArray[np.intp]) -> None:
        self._source, self._columns = source, columns

    def __iter__(self) -> Iterator[Any]:
        for block in self._source:
            yield block.X[:, self._columns] if is_sparse(block.X) else np.take(block.X, self._columns, axis=1)


def _independent_columns(source: RowSource, rank: int) -> npt.NDArray[np.intp]:
    """Choose columns that span all others, by a pivoted triangular factor of columns scaled to unit length."""
    table = ScaledTable.make(source)
    peaks = table.column_peaks()
    kept = np.flatnonzero(peaks)
    scaling = np.zeros((source.n_features, kept.size))
    scaling[kept, np.arange(kept.size)] = 1.0 / peaks[kept]
    R = table.triangle((scaling,))
    order = scipy.linalg.qr(R / np.linalg.norm(R, axis=0), mode="r", pivoting=True)[1]
    return np.sort(kept[order[:rank]])


def _nonzero_rows(source: RowSource) -> npt.NDArray[np.bool_]:
    return np.concatenate([np.diff(b.X.indptr) > 0 if is_sparse(b.X) else np.any(b.X != 0.0, axis=1) for b in source])
