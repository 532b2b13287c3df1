"""Rows that are multiples of one another, merged into one: a table with fewer rows and the same lp norms.

Rows ``c_1 a, ..., c_k a`` contribute ``sum |c_j|^p |a x|^p`` to ``|A x|_p^p``, as the single row ``(sum |c_j|^p)^(1/p) a`` does. Row j
has the share ``|c_j|^p / sum`` of the sensitivity (and of the Lewis weight) of the merged row.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

__all__ = ["MergedRows", "merge_parallel_rows"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MergedRows:
    """Distinct directions of a table.

    Attributes
    ----------
    rows : ndarray of shape (k, d)
        One row for each direction that occurs, none of them zero; the table itself when no two rows are parallel and none is zero.
    owner : ndarray of shape (n,), int64
        The merged row that each original row went into; -1 for zero rows.
    share : ndarray of shape (n,)
        Its share of the merged row's score; 0 for zero rows.
    """

    rows: npt.NDArray[np.floating]
    owner: IntArray
    share: FloatArray

    def spread(self, scores: FloatArray) -> FloatArray:
        """Hand the scores of merged rows down to the original rows."""
        if scores.size == 0:
            return np.zeros(self.owner.size)
        return np.where(self.owner >= 0, scores[self.owner] * self.share, 0.0)


def merge_parallel_rows(A: npt.NDArray[np.floating], p: float) -> MergedRows:
    """Merge the rows of a dense table that are parallel up to the rounding of one division.

    Parameters
    ----------
    A : ndarray of shape (n, d), C-contiguous, float64 or float32
        Finite entries.
    p : float
        Exponent of the norm to keep.

    Returns
    -------
    MergedRows

    Notes
    -----
    Every row is divided by its largest entry (in absolute value, with its sign), so that parallel rows become equal; equal rows are
    found by their hashes and compared in full. One pass and one sort of n numbers.
    """
    n = A.shape[0]
    hashes, size = np.empty(n, dtype=np.uint64), np.empty(n)
    read_only = A.view()
    read_only.flags.writeable = False  # one compiled signature whether the caller's table may be written or not
    hash_directions(read_only, hashes, size)
    live = np.flatnonzero(size)
    owner, share = np.full(n, -1, dtype=np.int64), np.zeros(n)
    in_order = np.sort(hashes[live])
    if not np.any(in_order[1:] == in_order[:-1]):
        owner[live], share[live] = np.arange(live.size), 1.0
        return MergedRows(A if live.size == n else A[live], owner, share)
    first, group = _without_collisions(A, size, live, *_groups(hashes[live]))
    top = np.zeros(first.size)
    np.maximum.at(top, group, np.abs(size[live]))
    power = (np.abs(size[live]) / top[group]) ** p
    total = np.bincount(group, weights=power, minlength=first.size)
    owner[live], share[live] = group, power / total[group]
    leader = live[first]
    factor = top / np.abs(size[leader]) * total ** (1.0 / p)
    return MergedRows(A[leader].astype(np.float64) * factor[:, None], owner, share)


def _groups(hashes: npt.NDArray[np.uint64]) -> tuple[IntArray, IntArray]:
    """Return the first row of every group of equal hashes, and the group of every row."""
    order = np.argsort(hashes, kind="stable")
    fresh = np.concatenate([[True], hashes[order[1:]] != hashes[order[:-1]]])
    group = np.empty(hashes.size, dtype=np.int64)
    group[order] = np.cumsum(fresh) - 1
    return order[fresh].astype(np.int64), group


def _without_collisions(
    A: npt.NDArray[np.floating], size: FloatArray, live: IntArray, first: IntArray, group: IntArray
) -> tuple[IntArray, IntArray]:
    """Give rows that only share a hash with their group's first row a group of their own (never seen: a hash has 64 bits)."""
    follower = np.flatnonzero(first[group] != np.arange(live.size))
    row, leader = live[follower], live[first[group[follower]]]
    same = np.empty(follower.size, dtype=np.bool_)
    for start in range(0, follower.size, 2**16):
        part = slice(start, start + 2**16)
        ours, theirs = (A[k[part]].astype(np.float64) / size[k[part], None] for k in (row, leader))
        same[part] = np.all(ours == theirs, axis=1)
    alone = follower[~same]
    group = group.copy()
    group[alone] = first.size + np.arange(alone.size)
    return np.concatenate([first, alone]), group


@kernel(signatures=("(Array(f8, 2, 'C', True), u8[::1], f8[::1])", "(Array(f4, 2, 'C', True), u8[::1], f8[::1])"))
def hash_directions(A: npt.NDArray[np.floating], hashes: npt.NDArray[np.uint64], size: FloatArray) -> None:
    """Fill `size` with the entry of largest absolute value of every row, and `hashes` with a hash of the row divided by it."""
    bits = np.empty(1, np.float64)
    word = bits.view(np.uint64)
    for i in range(A.shape[0]):
        top = 0.0
        for j in range(A.shape[1]):
            entry = np.float64(A[i, j])
            if abs(entry) > abs(top):
                top = entry
        size[i] = top
        state = np.uint64(0x9E3779B97F4A7C15)
        if top != 0.0:
            for j in range(A.shape[1]):
                bits[0] = np.float64(A[i, j]) / top + 0.0  # no negative zero
                state = (state ^ word[0]) * np.uint64(0xBF58476D1CE4E5B9)
                state ^= state >> np.uint64(29)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0x94D049BB133111EB)
        hashes[i] = state ^ (state >> np.uint64(31))
