"""Nets: finitely many directions, or weights of bounded length, such that every other one is near one of them."""

import numpy as np
import numpy.typing as npt

from algos.common.validation import check_range
from algos.misspecified_bandits.bounds.nets import cells_per_axis, largest_square, net_size

__all__ = ["ball_net", "sphere_net"]

FloatArray = npt.NDArray[np.float64]

_MOST_NUMBERS = 2 * 10**8  # 1.6 GB


def sphere_net(s: int, eta: float) -> FloatArray:
    r"""Return unit vectors such that every unit vector, or its negative, is within eta of one of them.

    On each of the s faces :math:`x_f=1` of the cube :math:`[-1,1]^s` lie :math:`m^{s-1}` midpoints of cells,
    :math:`m=\lceil\sqrt{s-1}/\eta\rceil`; they are divided by their lengths. A line through the origin meets one of these faces, within
    :math:`\sqrt{s-1}/m\le\eta` of a midpoint, and the projection of points outside the ball to the sphere brings no two of them farther
    apart.

    Parameters
    ----------
    s : int
        Dimensions.
    eta : float
        Covering radius, in Euclidean length.

    Returns
    -------
    ndarray of float64, of shape (s * m ** (s - 1), s)
        In one dimension the single direction 1.

    Raises
    ------
    TypeError, ValueError
        A parameter outside its range, or a net of more than 2e8 numbers.

    Examples
    --------
    >>> sphere_net(2, 0.2).shape, sphere_net(1, 0.01).tolist()
    ((10, 2), [[1.0]])
    """
    _check(s, eta, "sphere", 1.0)
    m = cells_per_axis(s=s, eta=eta)
    rest = _grid((np.arange(1 - m, m, 2) / m), s - 1)
    faces = [np.insert(rest, f, 1.0, axis=1) for f in range(s)]
    points = np.concatenate(faces)
    return np.ascontiguousarray(points / np.linalg.norm(points, axis=1, keepdims=True))


def ball_net(s: int, eta: float, R: float = 1.0) -> FloatArray:
    r"""Return weights such that every vector of Euclidean length at most R is within eta of one of them.

    The cube :math:`[-R,R]^s` is cut into :math:`m^s` cells, :math:`m=\lceil\sqrt s R/\eta\rceil`; midpoints longer than
    :math:`R+\eta` are left out, since their cells do not meet the ball.

    Parameters
    ----------
    s : int
        Dimensions.
    eta : float
        Covering radius, in Euclidean length.
    R : float, default=1.0
        Largest length of a vector to cover.

    Returns
    -------
    ndarray of float64, of shape (n, s)
        n is what :func:`~algos.misspecified_bandits.bounds.net_size` says; the order is lexicographic.

    Raises
    ------
    TypeError, ValueError
        A parameter outside its range, or a net of more than 2e8 numbers.

    Examples
    --------
    >>> ball_net(1, 0.5).ravel().tolist()
    [-0.5, 0.5]
    >>> ball_net(3, 0.1).shape
    (3888, 3)
    """
    _check(s, eta, "ball", R)
    m = cells_per_axis(s=s, eta=eta, net="ball", R=R)
    # integers decide which midpoints stay, so that the number of points is exact; whole layers of the first axis at a time
    odd, most = np.arange(1 - m, m, 2, dtype=np.int64), largest_square(m=m, eta=eta, R=R)
    points = np.empty((1, 0), dtype=np.int64)
    for _ in range(s):
        squares = np.sum(points * points, axis=1)[:, None] + (odd * odd)[None, :]
        row, column = np.nonzero(squares <= most)
        points = np.concatenate([points[row], odd[column][:, None]], axis=1)
    return np.ascontiguousarray(points * (R / m))


def _grid(values: FloatArray, s: int) -> FloatArray:
    """Return all points with s coordinates among the values, in lexicographic order."""
    if s == 0:
        return np.empty((1, 0))
    return np.stack(np.meshgrid(*[values] * s, indexing="ij"), axis=-1).reshape(-1, s)


def _check(s: int, eta: float, net: str, R: float) -> None:
    check_range(s, name="s", low=1, integer=True)
    check_range(eta, name="eta", low=0.0, low_open=True)
    check_range(R, name="R", low=0.0, low_open=True)
    numbers = s * net_size(s=s, eta=eta, net=net, R=R)
    if numbers > _MOST_NUMBERS:
        raise ValueError(f"eta={eta:g} needs a net of {numbers // s} points in {s} dimensions; give a larger eta or a smaller s")
