"""Counts over all supports, in ranges of their numbers, by one thread or several with the same result."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits._supports import count_supports, support_block

__all__ = ["check_candidates", "most_counted", "sum_over_supports"]

IntArray = npt.NDArray[np.int64]

_PARTS = 64  # ranges of supports: enough for any number of threads
_LARGEST = 4096  # supports in a range


def sum_over_supports(count: Callable[[IntArray, IntArray], None], *, d: int, s: int, n_actions: int, n_jobs: int | None) -> IntArray:
    """Return the sum of integer counts over all supports.

    Parameters
    ----------
    count : callable
        Called with supports (b, s) and counts (n_actions,), to which it adds; from several threads at once.
    d, s, n_actions : int
        Columns, columns in a support, actions.
    n_jobs : int or None
        Threads. Sums of integers are the same in any order.

    Returns
    -------
    ndarray of int64, of shape (n_actions,)
    """
    total = count_supports(d, s)
    size = min(max(-(-total // _PARTS), 1), _LARGEST)

    def part(start: int) -> IntArray:
        counts = np.zeros(n_actions, dtype=np.int64)
        count(support_block(start, min(start + size, total), d, s), counts)
        return counts

    starts = range(0, total, size)
    summed = np.zeros(n_actions, dtype=np.int64)
    if n_jobs is None or n_jobs == 1 or len(starts) == 1:
        for start in starts:
            summed += part(start)
        return summed
    from joblib import Parallel, delayed

    for counts in Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator_unordered")(delayed(part)(start) for start in starts):
        summed += counts
    return summed


def most_counted(counts: IntArray) -> IntArray:
    """Return the actions that were counted, the most often counted first, the lowest index among equals."""
    actions = np.flatnonzero(counts)
    return actions[np.argsort(-counts[actions], kind="stable")].astype(np.int64)


def check_candidates(found: int, most: int, remedy: str) -> None:
    """Raise if an enumeration is larger than allowed.

    Raises
    ------
    ValueError
        More than ``most``.
    """
    if found > most:
        raise ValueError(f"there are {found} candidates, more than max_candidates={most}; {remedy}, or raise max_candidates")
