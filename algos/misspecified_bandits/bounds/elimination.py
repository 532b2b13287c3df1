r"""Optimistic elimination: how many candidate models there are, and what the action found can miss."""

import math

from algos.misspecified_bandits.bounds._checks import need
from algos.misspecified_bandits.bounds.nets import net_size

__all__ = ["elimination_bound", "elimination_candidates"]


def elimination_bound(*, eps: float, eta: float, length: float, noise: float = 0.0) -> float:
    r"""Return :math:`2(\epsilon+\eta B+e)`, the most by which optimistic elimination misses the best reward.

    The net vector nearest to the true one predicts every reward within :math:`\epsilon+\eta B` and agrees with every mean within e more,
    so it is never removed. The search stops at a mean within :math:`\epsilon+\eta B+e` of the largest promise that is left, which is at
    least the best reward minus :math:`\epsilon+\eta B`; the mean itself is off by at most e.

    Parameters
    ----------
    eps : float
        Misspecification.
    eta : float
        Covering radius of the net.
    length : float
        B, the largest length of an action on s columns.
    noise : float, default=0.0
        e, the error of a mean.

    Raises
    ------
    ValueError
        A negative parameter.

    Examples
    --------
    >>> elimination_bound(eps=0.125, eta=0.125, length=1.0)
    0.5
    """
    for name, value in (("eps", eps), ("eta", eta), ("length", length), ("noise", noise)):
        need(value >= 0.0, f"{name}={value!r} must not be negative")
    return 2.0 * (eps + eta * length + noise)


def elimination_candidates(*, d: int, s: int, eta: float, R: float = 1.0) -> int:
    r"""Return :math:`\binom ds` times the size of the net of the ball of radius R in s dimensions.

    No more queries are ever made: each one removes the candidate that asked for it, or is the last.

    Parameters
    ----------
    d, s : int
        Columns, and columns of a model.
    eta : float
        Covering radius.
    R : float, default=1.0
        Largest length of a model.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> elimination_candidates(d=20, s=2, eta=0.1)
    38190
    """
    need(1 <= s <= d, f"s={s!r} must lie between 1 and d={d!r}")
    return math.comb(d, s) * net_size(s=s, eta=eta, net="ball", R=R)
