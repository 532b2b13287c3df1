r"""How many directions, or weights of bounded length, lie within eta of all others."""

import math

import numpy as np

from algos.misspecified_bandits.bounds._checks import need

__all__ = ["cells_per_axis", "largest_square", "net_size"]


def net_size(*, s: int, eta: float, net: str = "sphere", R: float = 1.0) -> int:
    r"""Return the number of points of a net in s dimensions.

    ``"sphere"`` is the net of directions up to sign, made of midpoints on the s faces :math:`x_f=1` of the cube: with
    :math:`m=\lceil\sqrt{s-1}/\eta\rceil` midpoints along each of the other axes it has :math:`s\,m^{s-1}` points (one, for s = 1).
    ``"ball"`` is the net of weights of length at most R, made of the midpoints of :math:`m^s` cells,
    :math:`m=\lceil\sqrt s R/\eta\rceil`, without those that are longer than :math:`R+\eta`.

    Parameters
    ----------
    s : int
        Dimensions.
    eta : float
        Covering radius.
    net : {"sphere", "ball"}, default="sphere"
        Directions, or weights with their lengths.
    R : float, default=1.0
        Largest length; plays no part for the sphere.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> [net_size(s=3, eta=eta) for eta in (0.2, 0.1, 0.05)]
    [192, 675, 2523]
    >>> [net_size(s=2, eta=eta, net="ball") for eta in (0.2, 0.1, 0.05)]
    [60, 201, 705]
    """
    m = cells_per_axis(s=s, eta=eta, net=net, R=R)
    return s * m ** (s - 1) if net == "sphere" else _points_in_ball(s, m, largest_square(m=m, eta=eta, R=R))


def cells_per_axis(*, s: int, eta: float, net: str = "sphere", R: float = 1.0) -> int:
    r"""Return m, the number of midpoints along an axis of the grid behind a net.

    Half a diagonal of a cell is at most eta: :math:`\sqrt{s-1}/m` on a face of the cube, :math:`\sqrt s R/m` in the ball.

    Parameters
    ----------
    s, eta, net, R :
        As in `net_size`.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> cells_per_axis(s=3, eta=0.1), cells_per_axis(s=3, eta=0.1, net="ball")
    (15, 18)
    """
    need(s >= 1, f"s={s!r} must be at least 1")
    need(eta > 0.0, f"eta={eta!r} must be positive: a net without slack has infinitely many points")
    need(R > 0.0, f"R={R!r} must be positive")
    need(net in ("sphere", "ball"), f"net={net!r} is not known; choose 'sphere' or 'ball'")
    ratio = math.sqrt(s - 1) / eta if net == "sphere" else math.sqrt(s) * R / eta
    need(ratio < 2.0**53, f"eta={eta!r} is too small: {ratio:.3g} points along an axis")
    return max(1, math.ceil(ratio))


def largest_square(*, m: int, eta: float, R: float = 1.0) -> int:
    r"""Return the largest squared length, in units of :math:`(R/m)^2`, of a midpoint that stays in the net of the ball.

    Parameters
    ----------
    m : int
        Cells along an axis.
    eta, R : float
        Covering radius, largest length.

    Examples
    --------
    >>> largest_square(m=8, eta=0.25)
    100
    """
    return math.floor((m * (1.0 + eta / R)) ** 2)


def _points_in_ball(s: int, m: int, most: int) -> int:
    """Count the integer points k with k_i in {1 - m, 3 - m, ..., m - 1} and squares that add up to ``most`` at the most."""
    squares, times = np.unique(np.arange(1 - m, m, 2, dtype=np.int64) ** 2, return_counts=True)
    if s == 1:
        return int(times[squares <= most].sum())
    need(most * squares.size * (s - 1) <= 10**10, f"{m} cells along each of {s} axes are too many to count; give a larger eta")
    ways = np.zeros(most + 1)
    ways[squares[squares <= most]] = times[squares <= most]
    for _ in range(s - 2):
        more = np.zeros_like(ways)
        for square, count in zip(squares.tolist(), times.tolist(), strict=True):
            if square <= most:
                more[square:] += count * ways[: most + 1 - square]
        ways = more
    below = np.cumsum(ways)
    return int(sum(count * below[most - square] for square, count in zip(squares.tolist(), times.tolist(), strict=True) if square <= most))
