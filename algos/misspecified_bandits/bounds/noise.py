r"""How often a noisy query has to be repeated, so that all means are right at once."""

import math

from algos.misspecified_bandits.bounds._checks import need

__all__ = ["noisy_repeats"]


def noisy_repeats(*, sigma: float, n_queries: int, delta: float, error: float) -> int:
    r"""Return :math:`m=\lceil 2\sigma^2\ln(2Q/\delta)/e^2\rceil`, at least 1.

    The means of m rewards with sigma-subgaussian noise are then within e of their expectations, for Q actions at once, with probability
    at least :math:`1-\delta`: each tail is at most :math:`\exp(-m e^2/(2\sigma^2))`, and there are 2 Q of them.

    Parameters
    ----------
    sigma : float
        Noise level, in the unit of the rewards.
    n_queries : int
        Q, the most actions that may be queried.
    delta : float
        Total probability of failure, in (0, 1).
    error : float
        e, in the unit of the rewards.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> noisy_repeats(sigma=0.2, n_queries=245, delta=0.1, error=0.05)
    272
    """
    need(sigma >= 0.0, f"sigma={sigma!r} must not be negative")
    need(n_queries >= 1, f"n_queries={n_queries!r} must be at least 1")
    need(0.0 < delta < 1.0, f"delta={delta!r} must lie between 0 and 1")
    need(error > 0.0, f"error={error!r} must be positive")
    return max(1, math.ceil(2.0 * sigma * sigma * math.log(2.0 * n_queries / delta) / (error * error)))
