"""How far a sparse model that is small on the queried actions can be from small elsewhere: exactly, and bounds that cost little."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.validation import canonical_array, check_range, is_sparse
from algos.misspecified_bandits._columns import largest_length
from algos.misspecified_bandits._polytope_kernels import largest_prediction
from algos.misspecified_bandits._supports import count_supports, support_block, support_blocks
from algos.misspecified_bandits.bounds.sparse_recovery import coherence_limit, coherent_eigenvalue, norming_bound

__all__ = ["Isotropy", "NormingConstant", "isotropy", "mutual_coherence", "norming_constant", "too_coherent"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_RANK = 1e-11
_ROUNDING = 1e-9  # an eigenvalue that is rounding bounds nothing
_NUMBERS = 2**20  # of a block of rows
_COLUMNS = 512  # of a block of the Gram matrix
_MANY_SUPPORTS = 5000
_DIAGNOSED = 8192  # actions that tell whether columns are isotropic: chance products of columns are then about 0.05


@dataclass(frozen=True, eq=False)
class NormingConstant:
    r"""The norming constant of a query set, with the vector that attains it.

    Attributes
    ----------
    value : float
        :math:`\Gamma_k`, infinite if some vector vanishes on all queries and not elsewhere.
    support : ndarray of int64, shape (k,)
    coef : ndarray of shape (k,)
        Entries of the vector: predictions of size at most 1 on the queries (0, if the value is infinite).
    action : int
        Where the vector predicts `value` (a prediction that is not 0, if it is infinite).
    """

    value: float
    support: IntArray
    coef: FloatArray
    action: int


def norming_constant(X: Any, queried: npt.ArrayLike, k: int, *, max_supports: int = 200_000) -> NormingConstant:
    r"""Compute :math:`\Gamma_k=\sup_u\max_a|\langle u,\phi(a)\rangle|/\max_{b\in Q}|\langle u,\phi(b)\rangle|` over k-sparse vectors u.

    Two models of s columns that both fit the answers within eps differ by at most :math:`2\epsilon\,\Gamma_{2s}` anywhere, and two that
    attain it exist for suitable answers: no learner can tell them apart.

    Parameters
    ----------
    X : array-like of shape (n_actions, n_features)
        Actions.
    queried : array-like of int
        Q.
    k : int
        Most entries of u that are not zero.
    max_supports : int, default=200000
        Most supports; each one costs linear programs.

    Returns
    -------
    NormingConstant

    Raises
    ------
    TypeError, ValueError
        Malformed actions, no queries, k outside 1, ..., n_features, or too many supports.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 1.0], [1.0, -1.0], [2.0, 0.0], [0.0, 3.0]])
    >>> found = norming_constant(X, [0, 1], 2)
    >>> round(found.value, 9), found.action, np.abs(found.coef).round(9).tolist()
    (3.0, 3, [0.0, 1.0])
    """
    table = canonical_array(X).astype(np.float64, copy=False)
    check_range(k, name="k", low=1, high=table.shape[1], integer=True)
    asked = _queries(queried, len(table))
    total = count_supports(table.shape[1], k)
    if total > max_supports:
        raise ValueError(
            f"k={k} of {table.shape[1]} columns: {total} supports are more than max_supports={max_supports}; lower k or raise it"
        )
    best = NormingConstant(-1.0, np.empty(0, dtype=np.int64), np.empty(0), -1)
    for _, supports in support_blocks(table.shape[1], k):
        for support in supports:
            best = _norming_on(np.ascontiguousarray(table[:, support]), asked, support, best)
            if math.isinf(best.value):
                return best
    return best


def _queries(queried: npt.ArrayLike, n_actions: int) -> IntArray:
    asked = np.atleast_1d(np.asarray(queried))
    if asked.ndim != 1 or not asked.size:
        raise ValueError(f"queried has shape {asked.shape}; give a list of at least one action")
    if asked.dtype.kind not in "iu":
        raise TypeError(f"queried of dtype {asked.dtype} are not indices; give integers from 0 to {n_actions - 1}")
    if int(asked.min()) < 0 or int(asked.max()) >= n_actions:
        raise ValueError(f"queried runs from {asked.min()} to {asked.max()}, but there are {n_actions} actions")
    return asked.astype(np.int64)


def _norming_on(rows: FloatArray, asked: IntArray, support: IntArray, best: NormingConstant) -> NormingConstant:
    """Return the better of the incumbent and the norming constant on one support.

    In coordinates where the queried rows are orthogonal with root mean square 1, vectors that are at most 1 on the queries have length at
    most 1: the box of the linear programs does not matter.
    """
    scale = np.max(np.abs(rows), axis=0)
    scale[scale == 0.0] = 1.0
    scaled = rows / scale
    _, sizes, axes = np.linalg.svd(scaled[asked], full_matrices=True)
    rank = int(np.sum(sizes > _RANK * max(float(sizes.max(initial=0.0)), 1e-300)))
    beyond = scaled @ axes[rank:].T
    if beyond.size and float(np.max(np.abs(beyond))) > _RANK * math.sqrt(len(support)):
        furthest, axis = divmod(int(np.argmax(np.abs(beyond))), beyond.shape[1])
        return NormingConstant(math.inf, support, axes[rank + axis] / scale, furthest)
    turn = axes[:rank].T / sizes[:rank] * math.sqrt(len(asked))
    turned = np.ascontiguousarray(scaled @ turn)
    if not rank:
        return best if best.value >= 0.0 else NormingConstant(0.0, support, np.zeros(len(support)), 0)
    every, ones, coef = np.ones(len(rows), dtype=np.bool_), np.ones(len(asked)), np.zeros(rank)
    whole, alive = np.arange(rank, dtype=np.int64)[None, :], np.ones(1, dtype=np.bool_)
    queried = np.ascontiguousarray(turned[asked])
    value, action, _ = largest_prediction(turned, every, queried, -ones, ones, whole, alive, 1.0, best.value, coef)
    return best if action < 0 else NormingConstant(float(value), support, turn @ coef / scale, int(action))


@dataclass(frozen=True, eq=False)
class Isotropy:
    r"""How near the columns of the queried actions are to orthogonal, and what follows for all actions.

    Attributes
    ----------
    coherence : float
        Largest product of two queried columns of length one.
    least_eigenvalue : float
        Smallest eigenvalue of Gram matrices of k queried columns of root mean square 1, over the supports looked at.
    exact : bool
        Whether all supports were looked at.
    norming : float
        Proved bound on the norming constant :math:`\Gamma_k` of the queries, from the eigenvalue if all supports were looked at and from
        the coherence otherwise; infinite if neither says anything.
    """

    coherence: float
    least_eigenvalue: float
    exact: bool
    norming: float


def isotropy(X: Any, queried: IntArray, k: int, *, rng: np.random.Generator, n_supports: int = 200) -> Isotropy:
    """Diagnose queries for vectors with k entries; X is a checked table, dense or CSR.

    All supports are looked at if there are at most 5,000, otherwise `n_supports` random ones.
    """
    d = int(X.shape[1])
    rows = X[queried]
    rows = (rows.toarray() if is_sparse(rows) else rows).astype(np.float64)
    largest = np.max(np.abs(rows), axis=0)
    dead = largest == 0.0
    sizes = largest * np.sqrt(np.mean((rows / np.where(dead, 1.0, largest)) ** 2, axis=0))
    units = rows / np.where(dead, 1.0, sizes)
    supports = _supports_to_look_at(d, k, rng, n_supports)
    coherence = mutual_coherence(units)
    least = min(1.0, max(0.0, _least_eigenvalue(units, supports)))
    exact = len(supports) == count_supports(d, k)
    floor = max(least if exact else 0.0, 0.0 if dead.any() else coherent_eigenvalue(k=k, coherence=coherence))
    if floor <= _ROUNDING:
        return Isotropy(coherence, least, exact, math.inf)
    # without dead columns, as the floor says
    return Isotropy(coherence, least, exact, norming_bound(length=_largest_length(X, sizes, k), eigenvalue=floor))


def mutual_coherence(rows: Any) -> float:
    """Return the largest product of two different columns of length one; columns of zeros do not count.

    Parameters
    ----------
    rows : ndarray or csr matrix of shape (n, d)
        Table.

    Returns
    -------
    float
        Between 0 and 1; 0 for a single column.

    Examples
    --------
    >>> round(mutual_coherence(np.array([[1.0, 1.0], [0.0, 1.0]])), 9)
    0.707106781
    """
    table = _with_entries_below_one(rows)
    d, largest = table.shape[1], 0.0
    squares = np.asarray(table.multiply(table).sum(axis=0)).ravel() if is_sparse(table) else np.einsum("ij,ij->j", table, table)
    lengths = np.sqrt(squares)
    lengths[lengths == 0.0] = 1.0
    for first in range(0, d, _COLUMNS):
        part = table.T @ table[:, first : first + _COLUMNS]
        products = np.abs(part.toarray() if is_sparse(part) else part) / lengths[:, None] / lengths[first : first + _COLUMNS]
        np.fill_diagonal(products[first:], 0.0)
        largest = max(largest, float(products.max(initial=0.0)))
    return min(largest, 1.0)


def _with_entries_below_one(rows: Any) -> Any:
    """Return the table with every column divided by its largest entry, so that squares do not overflow; by columns if it is sparse."""
    if not is_sparse(rows):
        table = rows.astype(np.float64)
        return table / _not_zero(np.max(np.abs(table), axis=0))
    import scipy.sparse as sp

    columns = sp.csc_array(rows).astype(np.float64)
    return sp.csc_array(columns @ sp.diags_array(1.0 / _not_zero(abs(columns).max(axis=0).toarray().ravel())))


def _not_zero(sizes: FloatArray) -> FloatArray:
    return np.where(sizes == 0.0, 1.0, sizes)


def too_coherent(X: Any, s: int, rng: np.random.Generator) -> tuple[bool, float]:
    """Return whether columns are too coherent for models of s of them, and their coherence, from at most 8,192 random actions."""
    n, d = X.shape
    rows = X if n <= _DIAGNOSED else X[np.sort(rng.choice(n, _DIAGNOSED, replace=False))]
    coherence = mutual_coherence(rows)
    return d > 1 and coherence >= coherence_limit(d=d, s=s, n_actions=rows.shape[0]), coherence


def _supports_to_look_at(d: int, k: int, rng: np.random.Generator, most: int) -> IntArray:
    total = count_supports(d, k)
    if total <= _MANY_SUPPORTS:
        return support_block(0, total, d, k)
    return np.array([np.sort(rng.choice(d, k, replace=False)) for _ in range(most)], dtype=np.int64)


def _least_eigenvalue(units: FloatArray, supports: IntArray) -> float:
    least = math.inf
    gram = units.T @ units / len(units) if units.shape[1] <= 2 * _COLUMNS else None
    for block in np.array_split(supports, -(-len(supports) // 256)):
        if gram is not None:
            parts = gram[block[:, :, None], block[:, None, :]]
        else:
            chosen = units[:, block].transpose(1, 0, 2)
            parts = np.matmul(chosen.transpose(0, 2, 1), chosen) / len(units)
        least = min(least, float(np.linalg.eigvalsh(parts).min()))
    return least


def _largest_length(X: Any, sizes: FloatArray, k: int) -> float:
    """Return the largest length of an action on k columns after columns were divided by their sizes, block by block."""
    rows, longest = max(1, _NUMBERS // X.shape[1]), 0.0
    for first in range(0, X.shape[0], rows):
        part = X[first : first + rows]
        longest = max(longest, largest_length((part.toarray() if is_sparse(part) else part).astype(np.float64) / sizes, k))
    return longest
