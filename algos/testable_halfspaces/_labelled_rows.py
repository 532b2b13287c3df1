"""Rows with their labels, and the sums over them that the learner needs, taken in blocks of fixed size and order."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource, tree_sum
from algos.common.validation import canonical_array
from algos.testable_halfspaces._arguments import checked_labels, read_only
from algos.testable_halfspaces._kernels import ramp_curvature, ramp_rows

__all__ = ["LabelledRows"]

FloatArray = npt.NDArray[np.float64]

_NORMAL_MEDIAN = 0.6745  # median of |N(0, 1)|


class LabelledRows:
    """Rows and labels, summed over in fixed blocks."""

    def __init__(self, X: Any, y: Any) -> None:
        if isinstance(X, RowSource):
            self.source = X
            if X.is_sparse:
                raise TypeError("X is sparse, which is not supported here; convert it with X.toarray()")
        else:
            self.source = RowSource(canonical_array(X))
        self.n, self.d = self.source.n_rows, self.source.n_features
        self.labels = read_only(checked_labels(y, self.n))

    def blocks(self) -> Iterator[tuple[npt.NDArray[np.floating], FloatArray]]:
        for block in self.source:
            yield read_only(block.X), self.labels[block.start : block.stop]

    def loss(self, w: FloatArray, sigma: float) -> tuple[float, FloatArray]:
        """Return the ramp loss and its gradient at a unit vector."""

        def part(X: npt.NDArray[np.floating], y: FloatArray) -> FloatArray:
            sums = np.zeros(self.d + 2)
            sums[self.d :] = ramp_rows(X, y, frozen, sigma, sums[: self.d])
            return sums

        frozen = read_only(w)
        sums = tree_sum(part(X, y) for X, y in self.blocks())
        weighted, (height, along) = sums[: self.d], sums[self.d :]
        gradient = -1.5 / (sigma * self.n) * (weighted - along * w)
        if not (np.isfinite(height) and np.all(np.isfinite(gradient))):
            raise ValueError("X has NaN, infinite or huge entries, whose margins overflow; drop such rows or divide X by a constant")
        return 0.5 + float(height) / self.n, gradient

    def curvature(self, w: FloatArray, u: FloatArray, sigma: float) -> FloatArray:
        """Return the tangent Hessian at a unit vector times a vector orthogonal to it."""

        def part(X: npt.NDArray[np.floating], y: FloatArray) -> FloatArray:
            sums = np.zeros(self.d + 2)
            sums[self.d :] = ramp_curvature(X, y, frozen_w, frozen_u, sigma, sums[: self.d])
            return sums

        frozen_w, frozen_u = read_only(w), read_only(u)
        sums = tree_sum(part(X, y) for X, y in self.blocks())
        weighted, (along, level) = sums[: self.d], sums[self.d :]
        return np.asarray(1.5 / (sigma * self.n) * (weighted - along * w + level * u), dtype=np.float64)

    def mistakes(self, w: FloatArray) -> int:
        """Return the number of rows that sign(<w, x>), with sign(0) = +1, gets wrong."""
        return sum(int(np.count_nonzero((X @ w >= 0.0) != (y > 0.0))) for X, y in self.blocks())

    def chow(self) -> FloatArray:
        """Return the mean of y x."""
        return np.asarray(tree_sum(y @ X for X, y in self.blocks()), dtype=np.float64) / self.n

    def margin_scale(self, w: FloatArray) -> float:
        """Return the median of the absolute margins over that of N(0, 1)."""
        return float(np.median(np.abs(np.concatenate([X @ w for X, _ in self.blocks()])))) / _NORMAL_MEDIAN

    def in_band(self, w: FloatArray, widths: Sequence[float]) -> list[int]:
        """Return the number of rows with ``|t| <= width`` for each width."""
        counts = np.zeros(len(widths), dtype=np.int64)
        for X, _ in self.blocks():
            margins = np.abs(X @ w)
            counts += [int(np.count_nonzero(margins <= width)) for width in widths]
        return [int(count) for count in counts]

    def sample(self, rows: int, rng: np.random.Generator) -> "LabelledRows":
        """Return this many rows drawn without replacement, in random order, as a table in memory."""
        chosen = rng.permutation(self.n)[:rows]
        table = np.empty((chosen.size, self.d), dtype=self.source.dtype)
        for block in self.source:
            here = np.flatnonzero((chosen >= block.start) & (chosen < block.stop))
            table[here] = block.X[chosen[here] - block.start]
        return LabelledRows(table, self.labels[chosen])
