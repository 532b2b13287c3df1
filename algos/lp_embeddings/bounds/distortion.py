"""Formulas about the distortion of samples: what is proved for a table at hand, what is necessary, and where samples lose rank."""

import math

import numpy as np
from scipy import special

from algos.lp_embeddings.bounds._checks import need, need_exponent

__all__ = ["flat_block_loss", "necessary_rows", "proved_distortion", "root_leverage_rows"]

_NETS = np.geomspace(1e-6, 0.5, 600)  # every fineness gives a valid bound; the best one is taken


def proved_distortion(*, p: float, rank: int, share: float, delta: float) -> float:
    r"""Distortion that a sample of independent rows has at most, with probability at least 1 - delta, with every constant explicit.

    Let row i be drawn with probability :math:`q_i`, weighted by :math:`1/q_i`, and :math:`\alpha = \max_i s_i/q_i` over the rows that are
    not certain. For one x with :math:`\|Ax\|_p = 1` the estimate of :math:`\|Ax\|_p^p` is a sum of independent terms in
    :math:`[0, \alpha]` with variance at most :math:`\alpha`, so Bernstein's inequality bounds its error by

    .. math:: \eta = \frac{\alpha\Lambda}{3} + \sqrt{\Big(\frac{\alpha\Lambda}{3}\Big)^2 + 2\alpha\Lambda},
              \qquad \Lambda = d\ln\Big(1+\frac2\gamma\Big) + \ln\frac2\delta,

    on all points of a net of fineness :math:`\gamma` at once. The triangle inequality carries this over to all x:

    .. math:: M = \frac{(1+\eta)^{1/p}}{1-\gamma}, \qquad \varepsilon = \max\big(M - 1,\; 1 - (1-\eta)^{1/p} + \gamma M\big),

    for the best :math:`\gamma`.

    Parameters
    ----------
    p : float
        Exponent of the norm.
    rank : int
        Rank d of the table.
    share : float
        The number :math:`\alpha`; upper bounds on sensitivities may stand for them. For m draws with replacement from the law
        :math:`\pi`, :math:`q_i = m\pi_i` and no row is certain.
    delta : float
        Failure probability.

    Returns
    -------
    float
        The distortion; infinite where it would not be below 1. Zero if every row is certain (``share=0``).

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "A distortion that is proved". It is the classical size :math:`S d/\varepsilon^2` up to a
    logarithm; the theorems in `sample_size` promise far smaller samples, without constants.

    Examples
    --------
    >>> round(proved_distortion(p=1.0, rank=10, share=1e-3, delta=0.1), 3)
    0.356
    >>> proved_distortion(p=1.0, rank=10, share=0.1, delta=0.1)
    inf
    """
    need_exponent(p)
    need(rank >= 1, f"rank={rank!r} must be at least 1")
    need(share >= 0.0, f"share={share!r} must not be negative")
    need(0.0 < delta < 1.0, f"delta={delta!r} must lie strictly between 0 and 1")
    if share == 0.0:
        return 0.0
    mass = share * (rank * np.log1p(2.0 / _NETS) + math.log(2.0 / delta))
    error = mass / 3.0 + np.sqrt((mass / 3.0) ** 2 + 2.0 * mass)
    largest = (1.0 + error) ** (1.0 / p) / (1.0 - _NETS)
    smallest = np.maximum(1.0 - error, 0.0) ** (1.0 / p) - _NETS * largest
    best: float = float(np.min(np.maximum(largest - 1.0, 1.0 - smallest)))
    return best if best < 1.0 else math.inf


def necessary_rows(*, total_sensitivity: float, p: float) -> float:
    r"""Rows without which no sample of the two-basis matrix has full rank, :math:`(S/2)^{2/p} \le d`, for 1 <= p <= 2.

    That matrix has :math:`S = 2d/(1+d^{1-p/2}) \le 2d^{p/2}`, whatever the number of copies, and every sample needs d different rows.

    Examples
    --------
    >>> necessary_rows(total_sensitivity=6.4, p=1.0).__round__(6)
    10.24
    """
    need(1.0 <= p <= 2.0, f"p={p!r}: the two-basis matrix has S <= 2 d^(p/2) for 1 <= p <= 2 only")
    return math.pow(total_sensitivity / 2.0, 2.0 / p)


def root_leverage_rows(*, n: int, p: float, rank: int) -> float:
    r"""Largest sum of root leverage scores, :math:`\sum_i\tau_i^{p/2} \le n^{1-p/2} d^{p/2}`, for 1 <= p <= 2.

    Jensen's inequality, with equality where all n rows have the same leverage. It is why root leverage scores are used recursively: one
    round leaves about this many rows.

    Examples
    --------
    >>> root_leverage_rows(n=10_000, p=1.0, rank=4)
    200.0
    """
    need(1.0 <= p <= 2.0, f"p={p!r}: root leverage scores bound sensitivities for 1 <= p <= 2 only")
    need(n >= 1 and rank >= 0, f"n={n!r}, rank={rank!r} must not be negative, n at least 1")
    return math.pow(n, 1.0 - p / 2.0) * math.pow(rank, p / 2.0)


def flat_block_loss(*, d1: int, copies: int, q: float) -> float:
    r"""Probability that a two-basis block keeps fewer than d1 of its 2 d1 directions, each in ``copies`` rows kept with probability q.

    :math:`P(\mathrm{Bin}(2d_1, 1-(1-q)^N) < d_1)`. The sample has then lost rank; it may lose rank also with more directions.

    Parameters
    ----------
    d1, copies : int
        Dimension of the block and repetitions of each direction, both at least 1.
    q : float
        Inclusion probability of one row.

    Examples
    --------
    >>> round(flat_block_loss(d1=64, copies=32, q=0.018), 3)
    0.896
    """
    need(d1 >= 1 and copies >= 1, f"d1={d1!r}, copies={copies!r} must be at least 1")
    need(0.0 <= q <= 1.0, f"q={q!r} must lie in [0, 1]")
    direction = -math.expm1(copies * math.log1p(-q)) if q < 1.0 else 1.0
    return float(special.bdtr(d1 - 1, 2 * d1, direction))
