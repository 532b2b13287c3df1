r"""How far off a mean of noisy answers can be, when the number of answers was chosen while looking at them."""

import math

from algos.misspecified_bandits.bounds._checks import need

__all__ = ["anytime_radius"]


def anytime_radius(*, sigma: float, n_pulls: int, n_actions: int, delta: float) -> float:
    r"""Return :math:`\sigma\sqrt{2\ln(2Kn(n+1)/\delta)/n}`.

    With probability at least :math:`1-\delta` the mean of the first n rewards of every action lies within this radius of its expectation,
    for all K actions and all n at once, so that it holds for whatever a learner chose to pull: the tail for one action and one n is at
    most :math:`\delta/(Kn(n+1))`, and :math:`\sum_{n\ge1}1/(n(n+1))=1`.

    Parameters
    ----------
    sigma : float
        The noise is sigma-subgaussian.
    n_pulls : int
        n, at least 1.
    n_actions : int
        K.
    delta : float
        Total probability of failure, in (0, 1).

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> round(anytime_radius(sigma=1.0, n_pulls=100, n_actions=50, delta=0.05), 4)
    0.58
    >>> anytime_radius(sigma=0.0, n_pulls=1, n_actions=1, delta=0.5)
    0.0
    """
    need(sigma >= 0.0, f"sigma={sigma!r} must not be negative")
    need(n_pulls >= 1, f"n_pulls={n_pulls!r} must be at least 1")
    need(n_actions >= 1, f"n_actions={n_actions!r} must be at least 1")
    need(0.0 < delta < 1.0, f"delta={delta!r} must lie between 0 and 1")
    return sigma * math.sqrt(2.0 * math.log(2.0 * n_actions * n_pulls * (n_pulls + 1.0) / delta) / n_pulls)
