r"""Moments of rows up to order four, and the search for the direction in which the third or fourth is extreme.

All fourth moments :math:`\mathrm E\langle v,x\rangle^4` are one quadratic form :math:`f^\top\Omega f` of
:math:`f=\operatorname{svec}(vv^\top)`, so that after one pass over the rows a search over directions needs no row again: a step costs
:math:`D^2` with :math:`D=d(d+1)/2`. Where D is too large for that, a step reads the rows in blocks that stay in the cache: each block is
read from memory once for all directions together.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.validation import check_finite_rows
from algos.testable_halfspaces._quartic_kernels import svec_rows
from algos.testable_halfspaces.quartic_forms import BLOCK, add_own_product, both_triangles, feature_count, smat

__all__ = ["Moments", "Tensors", "ascend", "batch_moments", "moments_of", "read_peak", "start_directions"]

FloatArray = npt.NDArray[np.float64]
Evaluate = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, eq=False)
class Tensors:
    """Third and fourth moments through quadratic features.

    Attributes
    ----------
    third : ndarray of shape (D, d)
        Mean of ``svec(x x^T) x^T``.
    fourth : ndarray of shape (D, D)
        Mean of ``svec(x x^T) svec(x x^T)^T``.
    """

    third: FloatArray
    fourth: FloatArray

    def power(self, V: FloatArray, order: int) -> tuple[FloatArray, FloatArray]:
        """Return ``mean <v, x>^order`` and ``mean <v, x>^(order - 1) x`` for every row v, order 3 or 4."""
        k, d = V.shape
        features = np.empty((k, self.fourth.shape[0]))
        svec_rows(np.ascontiguousarray(V), np.ones(k), features)
        if order == 3:
            gradients = features @ self.third
        else:
            images = features @ self.fourth
            i, j, share = _places(d)
            matrices = np.zeros((k, d, d))
            matrices[:, i, j] = images * share
            gradients = np.einsum("kij,kj->ki", matrices, V) + np.einsum("kij,ki->kj", matrices, V)
        return np.einsum("ij,ij->i", gradients, V), gradients


@functools.lru_cache(maxsize=8)
def _places(d: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], FloatArray]:
    """Return where the entries of svec go in an upper triangle U, and their factors, so that U + U^T is the matrix."""
    i, j = np.triu_indices(d)
    return i, j, np.where(i == j, 0.5, math.sqrt(0.5))


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of a table whose entries were divided by `unit`.

    Attributes
    ----------
    n : int
    unit : float
        A power of two near the largest entry, so that no fourth power overflows; 1 unless entries are huge or tiny.
    mean : ndarray of shape (d,)
    second : ndarray of shape (d, d)
    tensors : Tensors or None
        None when they were not asked for.
    """

    n: int
    unit: float
    mean: FloatArray
    second: FloatArray
    tensors: Tensors | None


def read_peak(source: RowSource) -> float:
    """Return the largest absolute entry; raise on NaN and infinite entries."""
    peak = 0.0
    for block in source:
        largest = float(max(np.max(block.X), -np.min(block.X)))
        if not math.isfinite(largest):
            check_finite_rows(block.X, name=source.name, start=block.start)
        peak = max(peak, largest)
    return peak


def moments_of(source: RowSource, *, tensors: bool) -> Moments:
    """Read all rows once for their size and once for their moments: ``n D^2 / 2`` operations with tensors, ``n d^2 / 2`` without."""
    peak = read_peak(source)
    unit = 2.0 ** math.frexp(peak)[1] if peak > 1e50 or 0.0 < peak < 1e-50 else 1.0
    d = source.n_features
    D = feature_count(d)
    total, second = np.zeros(d), np.zeros((d, d))
    third, fourth = np.zeros((D, d) if tensors else (0, 0)), np.zeros((D, D) if tensors else (0, 0), order="F")
    buffer, ones = np.empty((BLOCK, D) if tensors else (0, 0)), np.ones(BLOCK)
    for block in source:
        for start in range(0, block.X.shape[0], BLOCK):
            rows = np.array(block.X[start : start + BLOCK], dtype=np.float64)
            if unit != 1.0:
                rows /= unit
            total += rows.sum(axis=0)
            second += rows.T @ rows
            if tensors:
                features = buffer[: len(rows)]
                svec_rows(rows, ones[: len(rows)], features)
                third += features.T @ rows
                fourth = add_own_product(fourth, features)
    n = source.n_rows
    return Moments(n, unit, total / n, second / n, Tensors(third / n, both_triangles(fourth) / n) if tensors else None)


def batch_moments(source: RowSource, V: FloatArray, order: int, *, unit: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Return the same as `Tensors.power` from the rows: one read of the rows for all directions."""
    gradients, columns = np.zeros(V.shape), np.ascontiguousarray(V.T)
    for block in source:
        for start in range(0, block.X.shape[0], _SWEPT):
            rows = np.asarray(block.X[start : start + _SWEPT], dtype=np.float64)
            if unit != 1.0:
                rows = rows / unit
            along = rows @ columns
            powers = along * along
            if order == 4:
                powers *= along
            gradients += powers.T @ rows
    values = np.einsum("ij,ij->i", gradients, V)
    return values / source.n_rows, gradients / source.n_rows


def ascend(evaluate: Evaluate, V: FloatArray, order: int, sign: float, *, steps: int, tol: float) -> tuple[FloatArray, FloatArray]:
    r"""Move unit vectors to local extremes of a moment: :math:`v\leftarrow v\pm(M_3(v)-M_4(v)v)/(3\max(M_4(v),1))`, normalised.

    For third moments the 1 is the largest of them among the directions.

    Parameters
    ----------
    evaluate : callable
        Maps V to moments and their gradients over `order`, as `Tensors.power` does.
    V : ndarray of shape (k, d)
        Unit vectors.
    order : {3, 4}
    sign : {1.0, -1.0}
        Towards the largest or the smallest moment.
    steps : int
        At most so many evaluations.
    tol : float
        Ends when no moment has moved by more than this, relative to its size.

    Returns
    -------
    values : ndarray of shape (k,)
    V : ndarray of shape (k, d)
        The best point that each start has met.
    """
    best_value, best_V = np.full(len(V), -sign * np.inf), V.copy()
    previous = np.full(len(V), np.nan)
    for _ in range(steps):
        values, gradients = evaluate(V)
        better = sign * values > sign * best_value
        best_value[better], best_V[better] = values[better], V[better]
        if np.all(np.abs(values - previous) <= tol * np.maximum(np.abs(values), 1e-300)):
            break
        previous = values
        floor = 1.0 if order == 4 else float(np.max(np.abs(values)))  # third moments of the Gaussian are 0: they set their own scale
        size = 3.0 * np.maximum(np.abs(values), max(floor, 1e-300))
        V = V + sign * (gradients - values[:, None] * V) / size[:, None]
        V = V / np.linalg.norm(V, axis=1)[:, None]
    return best_value, best_V


def start_directions(second: FloatArray, maximiser: FloatArray | None, evaluate: Evaluate, sign: float, random: FloatArray) -> FloatArray:
    """Return starts for the fourth moment: the best axes and eigenvectors, those of the relaxation's maximiser, then random ones."""
    d = second.shape[0]
    fixed = np.vstack([np.eye(d), np.linalg.eigh(second)[1].T])
    values = sign * evaluate(fixed)[0]
    chosen = [fixed[:d][np.argsort(values[:d])[::-1][:_BEST]], fixed[d:][np.argsort(values[d:])[::-1][:_BEST]]]
    if maximiser is not None:
        chosen.append(np.linalg.eigh(smat(maximiser, d))[1].T[::-1][:_BEST])
    return np.vstack([*chosen, random[: max(0, len(random) - sum(map(len, chosen)))]])


_SWEPT = 1024  # rows that stay in the second-level cache beside their powers while all directions use them
_BEST = 4  # axes, eigenvectors and eigenvectors of the relaxation that start a search
