"""Compiled passes over candidate models: which ones agree with an answer, and the best of them for every action.

Twins in numpy are in ``tests/algos/misspecified_bandits/test_elimination.py``.
"""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

FloatArray = npt.NDArray[np.float64]
IdArray = npt.NDArray[np.int32]

_BLOCK = 512


@kernel(signatures=("(f8[:, ::1], f8[:, ::1], f8, f8, i4[::1], i4[::1])",))
def first_filter(axes: FloatArray, features: FloatArray, y: float, tolerance: float, support: IdArray, point: IdArray) -> int:
    """Write the candidates that agree with an answer, all of them being alive; return how many there are.

    `axes` (s, n) is the transposed net, `features` (supports, s) the features of the action on every support.
    """
    s, n = axes.shape
    values = np.empty(_BLOCK)
    count = 0
    for i in range(features.shape[0]):
        for first in range(0, n, _BLOCK):
            width = min(_BLOCK, n - first)
            values[:width] = -y
            for j in range(s):
                x = features[i, j]
                for k in range(width):
                    values[k] += axes[j, first + k] * x
            for k in range(width):
                # written always, kept by the count: no branch to predict
                support[count], point[count] = i, first + k
                count += 1 if abs(values[k]) <= tolerance else 0
    return count


@kernel(signatures=("(f8[:, ::1], f8[:, ::1], f8, f8, i4[::1], i4[::1], i8)",))
def later_filter(net: FloatArray, features: FloatArray, y: float, tolerance: float, support: IdArray, point: IdArray, n_alive: int) -> int:
    """Keep the live candidates that agree with an answer, in their order; return how many there are."""
    s, count = net.shape[1], 0
    for k in range(n_alive):
        i, p = support[k], point[k]
        value = -y
        for j in range(s):
            value += net[p, j] * features[i, j]
        support[count], point[count] = i, p
        count += 1 if abs(value) <= tolerance else 0
    return count


@kernel(signatures=("(f8[:, ::1], i4[:, ::1], i4[::1], i4[::1], i8, f8[::1])",))
def best_promises(promises: FloatArray, best_actions: IdArray, support: IdArray, point: IdArray, n_alive: int, best: FloatArray) -> None:
    """Raise ``best[a]`` to the largest promise of a live candidate whose best action is a."""
    for k in range(n_alive):
        i, p = support[k], point[k]
        action = best_actions[i, p]
        if promises[i, p] > best[action]:
            best[action] = promises[i, p]


@kernel(signatures=("(f8[:, ::1], i4[:, ::1], f8[::1])",))
def best_promises_of_all(promises: FloatArray, best_actions: IdArray, best: FloatArray) -> None:
    """Do what `best_promises` does while all candidates are alive."""
    for i in range(promises.shape[0]):
        for p in range(promises.shape[1]):
            action = best_actions[i, p]
            if promises[i, p] > best[action]:
                best[action] = promises[i, p]
