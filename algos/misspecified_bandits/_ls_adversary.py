"""The rewards that mislead least squares on a given design most."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.validation import canonical_array, check_range
from algos.misspecified_bandits._sparse_bandits import BanditInstance

__all__ = ["LsAdversary", "make_ls_adversary"]

FloatArray = npt.NDArray[np.float64]

_BLOCK = 512  # actions whose distances to all others are formed at once
_ROUNDING = 1e-8  # relative: features further from the span of the design are outside it
_PUSH = 1e-6  # of eps: how much the recommended action is raised above the ties


@dataclass(frozen=True, eq=False)
class LsAdversary:
    """The worst case of least squares; iterating gives the instance and the value.

    Attributes
    ----------
    instance : BanditInstance
        Rewards on which the fit is 0 everywhere, but for a push towards `recommended` where that makes it the only maximum.
    value : float
        Largest suboptimality over all linear parts, all errors within eps, and all ways to resolve ties.
    better, recommended : int
        The pair of actions that attains it.
    exposed : bool
        Whether `recommended` is the strict maximum of the fit; the suboptimality is then the value but for the push, a millionth of eps.
        Otherwise the fit ties with others.
    """

    instance: BanditInstance
    value: float
    better: int
    recommended: int
    exposed: bool

    def __iter__(self) -> Iterator[Any]:
        return iter((self.instance, self.value))


def make_ls_adversary(X: npt.ArrayLike, weights: npt.ArrayLike, eps: float) -> LsAdversary:
    r"""Make the instance on which weighted least squares from one reward per action of a design recommends the worst action it ever can.

    With the fit :math:`\hat f(a)=\sum_bw_{ab}y_b` and the vectors :math:`D_a=(1\{a=b\}-w_{ab})_b` over the design's actions b, the largest
    suboptimality of a maximum of :math:`\hat f` is :math:`\varepsilon\max_{a\ne c}(\|D_a-D_c\|_1+1\{a\notin C\}+1\{c\notin C\})`, where C
    is the design's support: the suboptimality of c against a is a linear function of the errors once the fit ties.

    Parameters
    ----------
    X : array-like of shape (n_actions, n_features)
        Features, at least two actions.
    weights : array-like of shape (n_actions,)
        Weights of the design, not negative; actions of weight 0 are not queried. Only ratios matter.
    eps : float
        Bound on the errors, positive.

    Returns
    -------
    LsAdversary

    Raises
    ------
    ValueError
        Shapes that do not fit, numbers outside their range, or a design that does not span the actions: then nothing bounds the error.

    Notes
    -----
    O(n² m) time for m actions in the design.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits.instances import make_ls_adversary
    >>> worst = make_ls_adversary([[1.0, 0.0], [0.0, 1.0], [0.6, 0.6]], [0.5, 0.5, 0.0], 0.125)
    >>> round(worst.value / 0.125, 12), worst.better, worst.recommended, worst.exposed
    (2.2, 0, 2, True)
    """
    table = np.array(canonical_array(X, min_rows=2), dtype=np.float64)
    bound = float(check_range(eps, name="eps", low=0.0, high=math.inf, low_open=True, high_open=True))
    p = np.asarray(weights, dtype=np.float64)
    if p.shape != (len(table),) or not np.all((p >= 0.0) & np.isfinite(p)) or not np.any(p):
        raise ValueError(f"weights of shape {p.shape} must be {len(table)} finite numbers, none negative, one per action, not all 0")
    core = np.flatnonzero(p)
    roots = np.sqrt(p[core] / p.max())
    fit = np.linalg.pinv(roots[:, None] * table[core]) * roots  # coefficients from rewards
    W = table @ fit
    missed = float(np.max(np.abs(W @ table[core] - table)))
    if missed > _ROUNDING * float(np.max(np.abs(table))):
        raise ValueError("the design does not span the actions, and nothing bounds the error outside its span; give weight to more actions")
    better, recommended, distance = _farthest_pair(W, core)
    if not _exposed(table, recommended) and _exposed(table, better):  # the value is the same for the pair the other way round
        better, recommended = recommended, better
    nu = _worst_errors(W, core, better, recommended, bound)
    theta = -(fit @ nu[core])
    row, exposed = table[recommended], _exposed(table, recommended)
    if exposed:
        theta = theta + _PUSH * bound * row / float(row @ row)
    for array in (table, theta, nu):
        array.flags.writeable = False
    instance = BanditInstance("worst case of least squares", table, theta, nu, bound)
    return LsAdversary(instance, bound * distance, better, recommended, exposed)


def _exposed(X: FloatArray, action: int) -> bool:
    """Return whether the action is the only maximum of its own features as a linear function."""
    products = X @ X[action]
    return bool(np.delete(products, action).max() < (1.0 - _ROUNDING) * products[action])


def _residuals(W: FloatArray, core: npt.NDArray[np.int64]) -> FloatArray:
    """Return the vectors D, of shape (n_actions, m)."""
    D = -W
    D[core, np.arange(core.size)] += 1.0
    return D


def _farthest_pair(W: FloatArray, core: npt.NDArray[np.int64]) -> tuple[int, int, float]:
    """Return the pair of actions with the largest value, and that value over eps; the first pair among equals."""
    from scipy.spatial.distance import cdist

    D = _residuals(W, core)
    outside = np.ones(len(D))
    outside[core] = 0.0
    best = (0, 1, -math.inf)
    for start in range(0, len(D), _BLOCK):
        values = cdist(D[start : start + _BLOCK], D, metric="cityblock") + outside[start : start + _BLOCK, None] + outside
        rows = np.arange(len(values))
        values[rows, start + rows] = -math.inf
        a, c = divmod(int(np.argmax(values)), len(D))
        if values[a, c] > best[2]:
            best = (start + a, c, float(values[a, c]))
    return best


def _worst_errors(W: FloatArray, core: npt.NDArray[np.int64], better: int, recommended: int, eps: float) -> FloatArray:
    D = _residuals(W, core)
    nu = np.zeros(len(D))
    nu[better], nu[recommended] = eps, -eps
    nu[core] = eps * np.sign(D[better] - D[recommended])
    return nu
