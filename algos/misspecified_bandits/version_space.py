"""Certificates of searches: all sparse models that agree with the answers, what they allow, and when there is none."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits._bandit_certificate import (
    BanditCertificate,
    answer_table,
    bounds_for,
    check_model,
    observations,
    read_history,
)
from algos.misspecified_bandits._consistent_models import ConsistentModels, Observations, widened

__all__ = ["BanditCertificate", "CertificateCurve", "certificate_curve", "certify_history"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_MAX_SUPPORTS = 200_000


def certify_history(
    X: Any,
    actions: npt.ArrayLike,
    rewards: npt.ArrayLike,
    *,
    s: int,
    eps: float,
    R: float = 1.0,
    sigma: float = 0.0,
    delta: float = 0.05,
    recommended: int | None = None,
    max_supports: int = _MAX_SUPPORTS,
) -> BanditCertificate:
    r"""Prove how much better any action can be than a recommended one, from the answers to whatever was asked.

    Let :math:`V_S=\{w:\|w\|_\infty\le R,\ |\langle w,\phi_S(b)\rangle-y_b|\le\epsilon\text{ for all answered }b\}` for every set S of s
    columns. An action without an answer has a reward of at most

    .. math:: U=\epsilon+\max_S\max_{w\in V_S}\langle w,\phi_S(a)\rangle,

    and the certificate is what the best action can have above the recommended one. If all :math:`V_S` are empty, the model is refuted.

    Parameters
    ----------
    X : array-like of shape (n_actions, n_features)
        Features of the actions.
    actions : array-like of int, of shape (t,)
        Actions that were asked for, by any learner or by none.
    rewards : array-like of shape (t,)
        Their rewards.
    s : int
        Most coefficients that are not zero.
    eps : float
        Misspecification: how far expected rewards may be from the model.
    R : float, default=1.0
        Largest size of a coefficient; with features of length one and rewards of size one, 1 is the natural scale.
    sigma : float, default=0.0
        The noise of the rewards is sigma-subgaussian; 0 means exact rewards. With noise, means are used within the radius
        :func:`~algos.misspecified_bandits.bounds.anytime_radius`, which holds however the learner chose its pulls.
    delta : float, default=0.05
        Probability that one of these radii fails.
    recommended : int, optional
        Action to certify. The default is the one with the best observed mean.
    max_supports : int, default=200000
        Most supports; every one of them costs a linear program.

    Returns
    -------
    BanditCertificate

    Raises
    ------
    TypeError
        Actions that are not integers.
    ValueError
        A number outside its range, unknown actions, rewards that are not finite or (with ``sigma=0``) contradict each other, too many
        supports, or no answer and no recommended action.

    Notes
    -----
    For one or two columns the models are intervals and polygons, clipped by one answer after the other, and every action is tried at
    every corner: O(C(d, s) (t + K) c) with c corners, seldom more than six. For more columns, linear programs of s variables; ranges of
    the coefficients rule out most of them.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import certify_history
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 5))
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> mean = 0.8 * X[:, 1] - 0.5 * X[:, 3] + rng.uniform(-0.05, 0.05, 200)
    >>> asked = np.arange(30)
    >>> certificate = certify_history(X, asked, mean[asked], s=2, eps=0.05)
    >>> bool(mean.max() - mean[certificate.recommended] <= certificate.value)
    True
    >>> certify_history(X, asked, mean[asked], s=1, eps=0.05).refuted
    True
    """
    table, asked, given = read_history(X, actions, rewards, sigma=sigma)
    check_model(s=s, eps=eps, R=R, sigma=sigma, delta=delta, d=table.shape[1])
    seen = observations(table, asked, given, sigma=sigma, delta=delta)
    chosen = _recommended(recommended, seen, len(table))
    models = ConsistentModels(table, s=s, R=R, max_supports=max_supports)
    models.settle(seen)
    nearest = int(np.argmin(models.floors))
    eps_min = float(models.floors[nearest])
    models.rule_out(eps)
    refuted = eps_min > widened(eps)
    found = None if refuted else bounds_for(models, seen, recommended=chosen, eps=float(eps))
    model = None if found is None else found.model
    return BanditCertificate(
        s=int(s),
        eps=float(eps),
        R=float(R),
        sigma=float(sigma),
        delta=float(delta),
        n_actions=len(table),
        n_answers=len(asked),
        n_distinct=len(seen.actions),
        recommended=chosen,
        value=math.nan if found is None else max(0.0, found.upper - found.lower),
        upper=math.nan if found is None else found.upper,
        lower=math.nan if found is None else found.lower,
        rival=-1 if found is None else found.rival,
        rival_support=np.empty(0, dtype=np.int64) if model is None else model.support.copy(),
        rival_coef=np.empty(0) if model is None else model.coef,
        eps_min=eps_min,
        eps_min_support=models.supports[nearest].copy(),
        eps_min_coef=models.coefs[nearest].copy(),
        refuted=refuted,
        n_supports=len(models.supports),
        n_alive=int(models.alive.sum()),
        digest=answer_table(table, asked, given),
    )


@dataclass(frozen=True, eq=False)
class CertificateCurve:
    """Certified bounds as a function of the misspecification that one is ready to believe in; unpacks into `eps` and `values`.

    Attributes
    ----------
    eps : ndarray of shape (n,)
        Misspecifications.
    values : ndarray of shape (n,)
        No action is better than `recommended` by more than this; NaN where `eps` is refuted. It never falls.
    eps_min : float
        Smallest misspecification that is not refuted.
    recommended : int
        The action.
    """

    eps: FloatArray
    values: FloatArray
    eps_min: float
    recommended: int

    def __iter__(self) -> Iterator[FloatArray]:
        return iter((self.eps, self.values))


def certificate_curve(
    X: Any,
    actions: npt.ArrayLike,
    rewards: npt.ArrayLike,
    *,
    s: int,
    eps: npt.ArrayLike | None = None,
    R: float = 1.0,
    sigma: float = 0.0,
    delta: float = 0.05,
    recommended: int | None = None,
    max_supports: int = _MAX_SUPPORTS,
) -> CertificateCurve:
    """Certify for several misspecifications at once: what to look at when eps is not known.

    Parameters
    ----------
    X, actions, rewards, s, R, sigma, delta, recommended, max_supports :
        As in :func:`certify_history`.
    eps : array-like of shape (n,), optional
        Misspecifications. The default begins at the smallest one that is not refuted, or at a thousandth of the spread of the rewards if
        that is larger, and doubles seven times.

    Returns
    -------
    CertificateCurve

    Raises
    ------
    TypeError, ValueError
        As :func:`certify_history`.

    Notes
    -----
    The misfits of the supports are found once for all eps.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import certificate_curve
    >>> X = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> eps, values = certificate_curve(X, [0, 2], [0.5, 0.1], s=1, eps=[0.05, 0.1, 0.2])
    >>> np.round(values, 6).tolist()
    [nan, 0.08, 0.26]
    """
    table, asked, given = read_history(X, actions, rewards, sigma=sigma)
    check_model(s=s, eps=0.0, R=R, sigma=sigma, delta=delta, d=table.shape[1])
    seen = observations(table, asked, given, sigma=sigma, delta=delta)
    chosen = _recommended(recommended, seen, len(table))
    models = ConsistentModels(table, s=s, R=R, max_supports=max_supports)
    models.settle(seen)
    eps_min = float(models.floors.min())
    wanted = _grid(eps_min, seen) if eps is None else np.asarray(eps, dtype=np.float64)
    if wanted.ndim != 1 or not np.all(np.isfinite(wanted) & (wanted >= 0.0)):
        raise ValueError(f"eps={eps!r} must be a list of finite numbers that are not negative")
    values = np.full(wanted.shape, np.nan)
    for place, value in enumerate(wanted.tolist()):
        models.alive = models.floors <= widened(value)
        if models.alive.any():
            found = bounds_for(models, seen, recommended=chosen, eps=value)
            values[place] = max(0.0, found.upper - found.lower)
    return CertificateCurve(wanted, values, eps_min, chosen)


def _grid(eps_min: float, seen: Observations) -> FloatArray:
    spread = float(np.ptp(seen.values)) if seen.values.size else 0.0
    start = max(eps_min, 1e-3 * (spread or 1.0))
    return np.asarray(start * 2.0 ** np.arange(8))


def _recommended(recommended: int | None, seen: Observations, n_actions: int) -> int:
    if recommended is not None:
        if isinstance(recommended, bool) or not 0 <= int(recommended) < n_actions:
            raise ValueError(f"recommended={recommended!r} is no action; give an index from 0 to {n_actions - 1}")
        return int(recommended)
    if not seen.actions.size:
        raise ValueError("there are no answers yet, so no action is the best observed one; name `recommended`")
    return int(seen.actions[seen.values == seen.values.max()].min())
