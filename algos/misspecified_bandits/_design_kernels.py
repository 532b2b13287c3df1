"""Loops over pairs of actions: which two linear predictions can differ most."""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

__all__ = ["farthest_pair"]

FloatArray = npt.NDArray[np.float64]


@kernel(signatures=("(f8[:, ::1], f8[::1], f8[::1])",), fastmath={"reassoc", "contract"})
def farthest_pair(D: FloatArray, extra: FloatArray, reach: FloatArray) -> tuple[int, int, float]:
    """Return the two rows with the largest l1 distance plus their `extra`, and that number; the first pair found among equals.

    `reach` bounds a row's share: its l1 norm plus its extra. Rows come in decreasing order of it, so that a pair whose shares add up to
    less than the best so far ends the search along its row, and the first pair of a row that of everything after. Sums may be reassociated:
    all terms are not negative.
    """
    n, m = D.shape
    first, second, best = 0, 0, -1.0
    for i in range(1, n):
        if reach[i] + reach[0] < best:
            break
        for j in range(i):
            if reach[i] + reach[j] < best:
                break
            total = 0.0
            for b in range(m):
                total += abs(D[i, b] - D[j, b])
            total += extra[i] + extra[j]
            if total > best:
                first, second, best = i, j, total
    return first, second, best
