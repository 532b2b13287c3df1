"""Supports of a given size, numbered in lexicographic order: blocks of them are made from their numbers, and no list of all is kept."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

__all__ = ["count_supports", "rank_of_support", "support_at", "support_block", "support_blocks"]

IntArray = npt.NDArray[np.int64]


def count_supports(d: int, s: int) -> int:
    """Return the number of supports of s columns out of d.

    Examples
    --------
    >>> count_supports(5, 2)
    10
    """
    return math.comb(d, s)


def support_at(rank: int, d: int, s: int) -> IntArray:
    """Return the support with a number, in the lexicographic order of increasing tuples.

    Raises
    ------
    ValueError
        No such support.

    Examples
    --------
    >>> support_at(4, 5, 2).tolist()
    [1, 2]
    """
    if not 0 <= rank < math.comb(d, s):
        raise ValueError(f"rank={rank} is outside 0, ..., {math.comb(d, s) - 1}, the numbers of supports of {s} of {d} columns")
    support, column = np.empty(s, dtype=np.int64), 0
    for place in range(s):
        while rank >= (after := math.comb(d - column - 1, s - place - 1)):
            rank -= after
            column += 1
        support[place] = column
        column += 1
    return support


def rank_of_support(support: npt.ArrayLike, d: int) -> int:
    """Return the number of a support, given as increasing columns.

    Examples
    --------
    >>> rank_of_support([1, 2], 5)
    4
    """
    columns = np.asarray(support, dtype=np.int64).tolist()
    s, rank, first = len(columns), 0, 0
    for place, column in enumerate(columns):
        rank += sum(math.comb(d - c - 1, s - place - 1) for c in range(first, column))
        first = column + 1
    return rank


def support_block(start: int, stop: int, d: int, s: int) -> IntArray:
    """Return the supports with numbers start, ..., stop - 1.

    Returns
    -------
    ndarray of int64, of shape (stop - start, s)

    Raises
    ------
    ValueError
        A number outside the range.

    Examples
    --------
    >>> support_block(3, 6, 5, 2).tolist()
    [[0, 4], [1, 2], [1, 3]]
    """
    if not 0 <= start <= stop <= math.comb(d, s):
        raise ValueError(
            f"start={start}, stop={stop} are no numbers of supports of {s} of {d} columns, of which there are {math.comb(d, s)}"
        )
    block = np.empty((stop - start, s), dtype=np.int64)
    if stop > start:
        block[0] = support_at(start, d, s)
        fill_successors(block, d)
    return block


def support_blocks(d: int, s: int, size: int = 4096) -> Iterator[tuple[int, IntArray]]:
    """Yield all supports in blocks, each with the number of its first.

    Examples
    --------
    >>> [(start, len(block)) for start, block in support_blocks(5, 2, size=4)]
    [(0, 4), (4, 4), (8, 2)]
    """
    total = math.comb(d, s)
    for start in range(0, total, size):
        yield start, support_block(start, min(start + size, total), d, s)


@kernel(signatures=("(i8[:, ::1], i8)",))
def fill_successors(block: IntArray, d: int) -> None:
    """Fill all rows but the first with the supports that follow it."""
    n, s = block.shape
    for i in range(1, n):
        place = s - 1
        while block[i - 1, place] == d - s + place:
            place -= 1
        for j in range(place):
            block[i, j] = block[i - 1, j]
        first = block[i - 1, place] + 1
        for j in range(place, s):
            block[i, j] = first + j - place
