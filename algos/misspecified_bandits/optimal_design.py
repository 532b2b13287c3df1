r"""Which actions to query, and how often, so that the worst of all predictions has the least variance."""

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from algos.common.blocks import RowSource
from algos.common.designs import design_descent, inverse_factor, reduce_support, round_allocation
from algos.common.linalg import Whitening, row_leverages, whitening
from algos.common.randomness import RandomStateLike, as_generator
from algos.common.row_products import ScaledTable
from algos.common.validation import check_option, check_range, is_sparse
from algos.misspecified_bandits.bounds.designs import ls_suboptimality, multiplicative_rounds

__all__ = ["Design", "g_optimal_design"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_ACTIVE = 20  # times the rank: rows that the descent looks at between two passes over all
_INNER = 0.9  # of tol: what is left between two passes, so that rows outside seldom violate tol again


@dataclass(frozen=True, eq=False)
class Design:
    """Weights on actions, and how good they are.

    Attributes
    ----------
    weights : ndarray of shape (n_actions,)
        Not negative, sum 1.
    support : ndarray of int64
        Actions of positive weight, in increasing order.
    g : float
        Largest variance over all actions, recomputed from the weights; at least `rank`, but for rounding.
    rank : int
        Rank of the features, which is the smallest possible `g`.
    n_iter : int
        Steps (``"away"``) or rounds (``"multiplicative"``).
    converged : bool
        Whether ``g <= (1 + tol) * rank``.
    """

    weights: FloatArray
    support: IntArray
    g: float
    rank: int
    n_iter: int
    converged: bool

    def round(self, n: int, method: str = "ceil") -> IntArray:
        """Return whole numbers of pulls in proportion to the weights.

        Parameters
        ----------
        n : int
            Pulls wanted.
        method : {"ceil", "efficient"}, default="ceil"
            As for :func:`~algos.common.designs.round_allocation`: at least n pulls and no loss, or exactly n.

        Returns
        -------
        ndarray of int64, of shape (n_actions,)

        Raises
        ------
        ValueError
            n < 1, or less than the number of actions in the support with ``"efficient"``.
        """
        return round_allocation(self.weights, n, method=method)

    def lebesgue(self, X: Any) -> FloatArray:
        r"""Return the Lebesgue function :math:`\Lambda(a)=\sum_b|w_{ab}|` of least squares for every action.

        Parameters
        ----------
        X : array-like of shape (n_actions, n_features)
            The table that the design is for.

        Returns
        -------
        ndarray of shape (n_actions,)
        """
        from algos.misspecified_bandits.least_squares import lebesgue_function  # which is about designs itself

        return lebesgue_function(X, self)

    def worst_case(self, eps: float) -> float:
        r"""Return :math:`2\varepsilon(1+\sqrt g)`, which no recommendation by least squares on this design exceeds.

        :func:`~algos.misspecified_bandits.ls_worst_case` gives the exact number, for which it needs the actions.

        Parameters
        ----------
        eps : float
            Misspecification.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            A negative eps.
        """
        return ls_suboptimality(eps=eps, g=self.g)

    def reduced(self, X: Any) -> "Design":
        r"""Return a design with the same matrix V on at most r (r + 1) / 2 + 1 actions.

        Parameters
        ----------
        X : array-like of shape (n_actions, n_features)
            The table that the design is for.

        Returns
        -------
        Design

        Raises
        ------
        ValueError
            X has another number of rows.
        """
        actions = _Actions.read(X)
        if actions.source.n_rows != self.weights.size:
            raise ValueError(f"X has {actions.source.n_rows} rows, the design is for {self.weights.size}; give its own table")
        if self.rank == 0:
            return self
        few = reduce_support(actions.rows(self.support), self.weights[self.support])
        support, p = self.support[few > 0.0], few[few > 0.0] / few.sum()
        return _design(actions, support, p, actions.variances(support, p), self.n_iter, self.converged)


def g_optimal_design(
    X: Any,
    *,
    tol: float = 1e-2,
    method: str = "away",
    init: str = "ky",
    max_iter: int = 100_000,
    random_state: RandomStateLike = None,
) -> Design:
    r"""Minimise :math:`g(p)=\max_a\varphi_a^\top V(p)^{-1}\varphi_a` with :math:`V(p)=\sum_bp_b\varphi_b\varphi_b^\top` over weights p.

    The minimum is the rank r of the features, so g itself says how far from optimal a design is. Dependent columns, repeated rows, rows of
    zeros and fewer actions than features are no special cases: everything happens in coordinates of the span.

    Parameters
    ----------
    X : array-like, sparse matrix, memmap, dask array, re-iterable of blocks, or RowSource, of shape (n_actions, n_features)
        Features. float32 is read as it is; arithmetic is float64.
    tol : float, default=1e-2
        Stop when :math:`g\le(1+\text{tol})\,r`. The error of least squares depends on :math:`\sqrt g`, so that the default loses half a per
        cent. Below 1e-4 convergence can take very long where many actions are nearly the same; ``tol=1`` gives the smallest supports.
    method : {"away", "multiplicative"}, default="away"
        Steps towards the worst-predicted action and away from superfluous ones, with few actions in the support; or
        :math:`w\leftarrow w\cdot L(w)` with the leverage scores L, whose average after T rounds has :math:`g\le r(K/r)^{1/T}` whatever the
        features, and gives weight to all actions (see :meth:`Design.reduced`).
    init : {"ky", "uniform"}, default="ky"
        Start of ``"away"``: the volumetric start of Kumar and Yildirim, r actions that are each largest along a random direction orthogonal
        to those before; or equal weights, for which all actions are held in memory in float64.
    max_iter : int, default=100_000
        Most steps or rounds.
    random_state : None, int, Generator or RandomState, default=None
        Draws the directions of the start.

    Returns
    -------
    Design

    Raises
    ------
    TypeError, ValueError
        Not a table of finite numbers, an unknown option, or a number outside its range.

    Warns
    -----
    ConvergenceWarning
        `max_iter` was reached. The design is valid and its `g` is right, but larger than asked for.

    Notes
    -----
    Steps run on the 20 r actions of largest variance and on the support; then one pass over all K actions, which costs as much as their
    leverage scores, looks whether others are worse. The start costs r cheaper passes. Memory beyond the weights is that of the active
    actions and a slice of rows, so tables on disk or in blocks may be of any length.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import g_optimal_design
    >>> t = np.linspace(-1.0, 1.0, 11)
    >>> design = g_optimal_design(np.vander(t, 3), tol=1e-4, random_state=0)
    >>> t[design.support].round(2).tolist(), design.weights[design.support].round(2).tolist()
    ([-1.0, 0.0, 1.0], [0.33, 0.33, 0.33])
    >>> design.round(10, "efficient")[design.support].tolist(), round(design.worst_case(0.1), 2)
    ([4, 3, 3], 0.55)
    """
    tol = check_range(tol, name="tol", low=0.0, high=math.inf, high_open=True)
    check_option(method, ("away", "multiplicative"), name="method")
    check_option(init, ("ky", "uniform"), name="init")
    max_iter = int(check_range(max_iter, name="max_iter", low=1, integer=True))
    rng = as_generator(random_state)
    actions = _Actions.read(X)
    if actions.rank == 0:
        return _design(actions, np.zeros(1, dtype=np.int64), np.ones(1), np.zeros(1), 0, True)
    if method == "multiplicative":
        design = _multiplicative(actions, tol, max_iter)
    else:
        design = _active_set(actions, *_start(actions, init, rng), tol, max_iter)
    if not design.converged:
        warnings.warn(
            f"the design has g = {design.g:.6g} after {design.n_iter} iterations, more than (1 + tol) * rank = "
            f"{(1.0 + tol) * design.rank:.6g}; it may be used as it is, or raise max_iter or tol",
            ConvergenceWarning,
            stacklevel=2,
        )
    return design


@dataclass(frozen=True, eq=False)
class _Actions:
    """Features and the coordinates of their span in which the columns are orthonormal."""

    source: RowSource
    white: Whitening

    @classmethod
    def read(cls, X: Any) -> "_Actions":
        source = RowSource.of(X)
        return cls(source, whitening(source))

    @property
    def rank(self) -> int:
        return self.white.rank

    def rows(self, indices: IntArray) -> FloatArray:
        """Return rows, given in increasing order, in coordinates of the span."""
        parts = []
        for block in self.source:
            first, stop = np.searchsorted(indices, [block.start, block.stop])
            if first < stop:
                parts.append(self._coordinates(block.X[indices[first:stop] - block.start]))
        return np.ascontiguousarray(np.concatenate(parts))

    def _coordinates(self, rows: Any) -> FloatArray:
        return self.white.apply(np.asarray(rows.toarray() if is_sparse(rows) else rows, dtype=np.float64))

    def farthest(self, direction: FloatArray) -> tuple[int, FloatArray]:
        """Return the first action with the largest product, in size, and its coordinates."""
        column = direction[:, None]
        for factor in self.white.factors[::-1]:
            column = factor @ column
        best, size, row = -1, -1.0, None
        table = ScaledTable(self.source)
        for block in self.source:
            for start, Y in table.slices(block, (column,)):
                i = int(np.argmax(np.abs(Y[:, 0])))
                if abs(Y[i, 0]) > size:
                    best, size = start + i, abs(float(Y[i, 0]))
                    row = block.X[best - block.start : best - block.start + 1]
        return best, self._coordinates(row)[0]

    def variances(self, support: IntArray, p: FloatArray) -> FloatArray:
        """Return the variances of all actions under a design, from its rows."""
        return self._squares(inverse_factor(self.rows(support), p))

    def dense_variances(self, p: FloatArray) -> FloatArray:
        """Return the same for weights on all actions, in two passes."""
        values, vectors = np.linalg.eigh(ScaledTable.make(self.source, np.sqrt(p)).gram(self.white.factors))
        return self._squares(vectors / np.sqrt(values))

    def _squares(self, factor: FloatArray) -> FloatArray:
        factors = (*self.white.factors[:-1], self.white.factors[-1] @ factor)
        return row_leverages(self.source, replace(self.white, factors=factors))


def _design(actions: _Actions, support: IntArray, p: FloatArray, h: FloatArray, n_iter: int, converged: bool) -> Design:
    weights = np.zeros(actions.source.n_rows)
    weights[support] = p
    for array in (weights, support):
        array.flags.writeable = False
    return Design(weights, support, float(h.max()), actions.rank, n_iter, converged)


def _start(actions: _Actions, init: str, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    if init == "uniform":
        n = actions.source.n_rows
        return np.arange(n, dtype=np.int64), np.full(n, 1.0 / n)
    r = actions.rank
    chosen: list[int] = []
    basis = np.zeros((0, r))
    for _ in range(r):
        direction = _orthogonal(rng.standard_normal(r), basis)
        action, row = actions.farthest(direction)
        chosen.append(action)
        basis = np.vstack([basis, _orthogonal(row, basis)])
    return np.sort(np.array(chosen, dtype=np.int64)), np.full(r, 1.0 / r)


def _orthogonal(vector: FloatArray, basis: FloatArray) -> FloatArray:
    for _ in range(2):  # the second time removes what rounding left
        vector = vector - basis.T @ (basis @ vector)
        vector = vector / np.linalg.norm(vector)
    return vector


def _active_set(actions: _Actions, rows: IntArray, p: FloatArray, tol: float, max_iter: int) -> Design:
    steps, most = 0, min(_ACTIVE * actions.rank, actions.source.n_rows)
    while True:
        found = design_descent(actions.rows(rows), p, tol=_INNER * tol, max_iter=max_iter - steps)
        steps += found.n_steps
        kept = found.weights > 0.0
        support, p = rows[kept], found.weights[kept]
        h = actions.variances(support, p)
        converged = bool(h.max() <= (1.0 + tol) * actions.rank)
        worst = np.argpartition(h, h.size - most)[h.size - most :]
        again = np.union1d(support, worst)
        stuck = found.n_steps == 0 and np.isin(again, rows).all()
        if converged or stuck or steps >= max_iter:
            return _design(actions, support, p, h, steps, converged)
        rows = again.astype(np.int64)
        weights = np.zeros(rows.size)
        weights[np.searchsorted(rows, support)] = p
        p = weights


def _multiplicative(actions: _Actions, tol: float, max_iter: int) -> Design:
    n, r = actions.source.n_rows, actions.rank
    most = min(max_iter, multiplicative_rounds(rank=r, n_actions=n, tol=tol)) if tol > 0.0 else max_iter
    w, total = np.full(n, r / n), np.zeros(n)
    checked = 1
    for t in range(1, most + 1):
        total += w
        if t in (checked, most):
            checked *= 2
            p = total / total.sum()
            h = actions.dense_variances(p)
            converged = bool(h.max() <= (1.0 + tol) * r)
            if converged or t == most:
                break
        w *= actions.dense_variances(w)
    support = np.flatnonzero(p).astype(np.int64)
    return _design(actions, support, p[support], h, t, converged)
