r"""What querying all vertices of hulls, or all extremes in a net of directions, guarantees."""

from algos.misspecified_bandits.bounds._checks import need

__all__ = ["cover_suboptimality", "hull_suboptimality"]


def hull_suboptimality(*, eps: float, error: float = 0.0) -> float:
    r"""Return :math:`2\varepsilon+2e`, the suboptimality when all vertices of all projections were queried.

    On the support of :math:`\theta` some vertex b has :math:`\langle\theta,\phi(b)\rangle\ge\langle\theta,\phi(a)\rangle` for every a, so
    :math:`r(b)\ge r(a)-2\varepsilon`; an observed mean within e of its expectation costs another e twice.

    Parameters
    ----------
    eps : float
        Misspecification.
    error : float, default=0.0
        e, the largest error of an observed reward.

    Raises
    ------
    ValueError
        A negative parameter.

    Examples
    --------
    >>> hull_suboptimality(eps=0.25)
    0.5
    """
    need(eps >= 0.0, f"eps={eps!r} must not be negative")
    need(error >= 0.0, f"error={error!r} must not be negative")
    return 2.0 * eps + 2.0 * error


def cover_suboptimality(*, eps: float, eta: float, length: float, R: float = 1.0, error: float = 0.0) -> float:
    r"""Return :math:`2\varepsilon+2\eta R B+2e`, the suboptimality when both extremes of a net were queried on all supports.

    With w within :math:`\eta R` of :math:`\theta` (the net's direction, scaled), and b the action that maximises it on the support S of
    :math:`\theta`, :math:`\langle\theta,\phi(a)-\phi(b)\rangle\le\langle\theta-w,\phi_S(a)-\phi_S(b)\rangle\le 2\eta R B`, where B bounds
    the length of all :math:`\phi_S`. The rest is as for the hulls.

    Parameters
    ----------
    eps : float
        Misspecification.
    eta : float
        Covering radius of the net, in units of R.
    length : float
        B, the largest length of an action on a support.
    R : float, default=1.0
        Largest length of :math:`\theta`.
    error : float, default=0.0
        e, the largest error of an observed reward.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> cover_suboptimality(eps=0.25, eta=0.25, length=1.0)
    1.0
    """
    need(eta > 0.0, f"eta={eta!r} must be positive")
    need(length >= 0.0, f"length={length!r} must not be negative")
    need(R > 0.0, f"R={R!r} must be positive")
    return hull_suboptimality(eps=eps, error=error) + 2.0 * eta * R * length
