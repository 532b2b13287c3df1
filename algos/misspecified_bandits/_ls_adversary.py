"""The rewards that mislead least squares on a given design most."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.validation import canonical_array, check_range
from algos.misspecified_bandits._sparse_bandits import BanditInstance
from algos.misspecified_bandits.least_squares import ls_worst_case

__all__ = ["LsAdversary", "make_ls_adversary"]

FloatArray = npt.NDArray[np.float64]

_ROUNDING = 1e-8  # relative: an action leads only by more than this
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

    The pair of actions and the errors are those of :func:`ls_worst_case`, where the fit is 0 everywhere; a push makes the recommended
    action its only maximum where its features allow that.

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
    value, better, recommended, theta, nu = ls_worst_case(table, weights, bound)
    if not _exposed(table, recommended) and _exposed(table, better):  # the value is the same for the pair the other way round
        better, recommended, theta, nu = recommended, better, -theta, -nu
    row, exposed = table[recommended], _exposed(table, recommended)
    if exposed:
        theta = theta + _PUSH * bound * row / float(row @ row)
    for array in (table, theta, nu):
        array.flags.writeable = False
    return LsAdversary(BanditInstance("worst case of least squares", table, theta, nu, bound), value, better, recommended, exposed)


def _exposed(X: FloatArray, action: int) -> bool:
    """Return whether the action is the only maximum of its own features as a linear function."""
    products = X @ X[action]
    return bool(np.delete(products, action).max() < (1.0 - _ROUNDING) * products[action])
