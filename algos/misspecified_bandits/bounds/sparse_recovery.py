r"""What a sparse fit to a few random actions promises for all actions, and how many actions that takes."""

import math

from algos.misspecified_bandits.bounds._checks import need

__all__ = ["coherence_limit", "coherent_eigenvalue", "norming_bound", "recovery_error", "recovery_queries", "recovery_suboptimality"]


def recovery_queries(*, d: int, s: int, factor: float = 4.0) -> int:
    r"""Return :math:`m=\lceil c\,s\ln(e\,d/s)\rceil`, the random actions from which s of d isotropic columns are recovered.

    Parameters
    ----------
    d, s : int
        Columns, and columns of a model.
    factor : float, default=4.0
        c. No proved constant: with random signs and coefficients of at least ten times the misspecification, matching pursuit missed a
        column in 7 of 120 runs at c = 2 and in none at c = 3 or 4 (2 to 32 columns out of 50 to 800).

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> recovery_queries(d=200, s=4)
    79
    """
    need(1 <= s <= d, f"s={s!r} must lie between 1 and d={d!r}")
    need(0.0 < factor < math.inf, f"factor={factor!r} must be positive and finite")
    return math.ceil(factor * s * math.log(math.e * d / s))


def coherence_limit(*, d: int, s: int, n_actions: int) -> float:
    r"""Return :math:`\max(1/(2s-1),\ 3\sqrt{\ln d/n})`: columns with a smaller coherence count as isotropic.

    Below the first number any 2s columns are independent, whatever is known of them otherwise. Independent columns with n random signs
    reach the second one with probability below :math:`d^{-2.5}`: there are fewer than :math:`d^2/2` pairs, and each product exceeds t with
    probability at most :math:`2\exp(-nt^2/2)`.

    Parameters
    ----------
    d, s : int
        Columns, and columns of a model.
    n_actions : int
        n, the actions over which the coherence was taken.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> coherence_limit(d=100, s=2, n_actions=5000) == 1 / 3
    True
    """
    need(1 <= s <= d, f"s={s!r} must lie between 1 and d={d!r}")
    need(n_actions >= 1, f"n_actions={n_actions!r} must be at least 1")
    return max(1.0 / (2 * s - 1), 3.0 * math.sqrt(math.log(d) / n_actions))


def coherent_eigenvalue(*, k: int, coherence: float) -> float:
    r"""Return :math:`1-(k-1)\mu`, or 0: the smallest eigenvalue of the Gram matrix of k columns of length one.

    By Gershgorin's circles, with :math:`\mu` the largest product of two columns.

    Parameters
    ----------
    k : int
        Columns.
    coherence : float
        :math:`\mu`.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> coherent_eigenvalue(k=4, coherence=0.25)
    0.25
    """
    need(k >= 1, f"k={k!r} must be at least 1")
    need(coherence >= 0.0, f"coherence={coherence!r} must not be negative")
    return max(0.0, 1.0 - (k - 1) * coherence)


def norming_bound(*, length: float, eigenvalue: float) -> float:
    r"""Return :math:`B/\sqrt\lambda`, a bound on the norming constant :math:`\Gamma_k` of a set Q of queried actions.

    :math:`\Gamma_k` is the largest ratio of :math:`\max_a|\langle u,\phi(a)\rangle|` over all actions to the same maximum over Q, for
    vectors u with at most k entries that are not zero. With :math:`\lambda` the smallest eigenvalue of
    :math:`X_{Q,S}^\top X_{Q,S}/|Q|` over all S of k columns, the maximum over Q is at least the root mean square
    :math:`\ge\sqrt\lambda\|u\|_2`, and the maximum over all actions is at most :math:`B\|u\|_2`, B the largest length of an action on k
    columns; :math:`B\le\sqrt k` for entries of size at most 1.

    Parameters
    ----------
    length : float
        B.
    eigenvalue : float
        :math:`\lambda`; 0 means that the queries do not determine k columns, and the bound is infinite.

    Raises
    ------
    ValueError
        A negative parameter.

    Examples
    --------
    >>> norming_bound(length=2.0, eigenvalue=0.25), norming_bound(length=2.0, eigenvalue=0.0)
    (4.0, inf)
    """
    need(length >= 0.0, f"length={length!r} must not be negative")
    need(eigenvalue >= 0.0, f"eigenvalue={eigenvalue!r} must not be negative")
    return math.inf if eigenvalue == 0.0 else length / math.sqrt(eigenvalue)


def recovery_error(*, eps: float, residual: float, norming: float, noise: float = 0.0) -> float:
    r"""Return :math:`(\rho+\epsilon+e)\,\Gamma_{2s}`, the most by which predictions of all actions miss those of the true model.

    The difference of the fitted and the true model has at most 2s entries that are not zero, and is at most :math:`\rho+\epsilon+e` in
    size on the queried actions, where the fit misses the means by at most :math:`\rho`.

    Parameters
    ----------
    eps : float
        Misspecification.
    residual : float
        :math:`\rho`, the largest residual of the fit; at most eps + e for the best fit.
    norming : float
        :math:`\Gamma_{2s}`, or a bound on it.
    noise : float, default=0.0
        e, the largest error of a mean.

    Raises
    ------
    ValueError
        A negative parameter.

    Examples
    --------
    >>> recovery_error(eps=0.25, residual=0.25, norming=2.0)
    1.0
    """
    for name, value in (("eps", eps), ("residual", residual), ("norming", norming), ("noise", noise)):
        need(value >= 0.0, f"{name}={value!r} must not be negative")
    missed = residual + eps + noise
    return 0.0 if missed == 0.0 else missed * norming


def recovery_suboptimality(*, eps: float, error: float) -> float:
    r"""Return :math:`2\epsilon+2E`, the suboptimality of the action with the largest prediction, if predictions are off by at most E.

    Parameters
    ----------
    eps : float
        Misspecification.
    error : float
        E.

    Raises
    ------
    ValueError
        A negative parameter.

    Examples
    --------
    >>> recovery_suboptimality(eps=0.25, error=1.0)
    2.5
    """
    need(eps >= 0.0, f"eps={eps!r} must not be negative")
    need(error >= 0.0, f"error={error!r} must not be negative")
    return 2.0 * eps + 2.0 * error
