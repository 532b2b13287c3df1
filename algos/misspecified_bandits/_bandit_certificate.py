"""The certificate of a search: how much better another action can be, or that no sparse model explains the rewards."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.guarantees import Certificate, Guarantee, data_digest
from algos.common.validation import canonical_array, check_range, is_sparse
from algos.misspecified_bandits._consistent_models import ConsistentModels, Observations, Prediction, widened
from algos.misspecified_bandits.bounds import anytime_radius

__all__ = ["BanditCertificate", "Bounds", "answer_table", "bounds_for", "check_model", "observations", "read_history"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_CHECK = 1e-9  # two ways to the same optimum differ by rounding alone; relative to the largest number involved


@dataclass(frozen=True, eq=False)
class BanditCertificate(Certificate):
    r"""What the answers prove about an action, if rewards follow an s-sparse model up to eps.

    The model: every action a has an expected reward within eps of :math:`\langle\theta,\phi(a)\rangle` for one vector with at most s
    entries that are not zero, none larger than R in size.

    Attributes
    ----------
    s, eps, R : int, float, float
        The model.
    sigma, delta : float
        Noise of the rewards, and the probability that a mean is further off than allowed for. Without noise everything is certain.
    n_actions, n_answers, n_distinct : int
        Actions, answers, and actions with an answer.
    recommended : int
        The action that the certificate is about.
    value : float
        No action is better than `recommended` by more than this; NaN if the model is refuted, infinite never.
    upper, lower : float
        No action has an expected reward above `upper`, and `recommended` has at least `lower`; ``value = max(0, upper - lower)``.
    rival : int
        The action that can reach `upper`.
    rival_support, rival_coef : ndarray
        A model that agrees with all answers and under which the rival, plus eps, reaches `upper`. Empty if the rival has been observed.
    eps_min : float
        No model with these s and R is within less than this of the answers: a lower bound of the true misspecification. It is lowered
        by 1e-9 (1 + \|y\|) and, with noise, by the radii of the means.
    eps_min_support, eps_min_coef : ndarray
        The model that comes so near.
    refuted : bool
        Whether `eps_min` exceeds `eps`, by more than a millionth of it: no model explains the answers. Then there is no bound.
    n_supports, n_alive : int
        Supports, and supports with a model that agrees with the answers.
    digest : str
        Fingerprint of actions and answers.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import certify_history
    >>> X = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> certificate = certify_history(X, [0, 2], [0.5, 0.1], s=1, eps=0.1)
    >>> round(certificate.value, 6), certificate.rival, certificate.eps_min < 0.1
    (0.08, 1, True)
    >>> certificate.verify(X, [0, 2], [0.5, 0.1]), certificate.verify(X, [0, 2], [0.5, 0.2])
    (True, False)
    """

    s: int
    eps: float
    R: float
    sigma: float
    delta: float
    n_actions: int
    n_answers: int
    n_distinct: int
    recommended: int
    value: float
    upper: float
    lower: float
    rival: int
    rival_support: IntArray
    rival_coef: FloatArray
    eps_min: float
    eps_min_support: IntArray
    eps_min_coef: FloatArray
    refuted: bool
    n_supports: int
    n_alive: int
    digest: str

    @property
    def guarantee(self) -> Guarantee:
        """The statement as a number with its premises."""
        if self.refuted:
            return Guarantee("none", reason=self.statement)
        premises = (f"expected rewards are within {self.eps:g} of a model with {self.s} coefficients of size at most {self.R:g}",)
        if self.sigma == 0:
            return Guarantee("worst case", self.value, premises)
        noise = f"noise is {self.sigma:g}-subgaussian and independent"
        return Guarantee(f"with probability {1 - self.delta:g}", self.value, (*premises, noise))

    @property
    def statement(self) -> str:
        """What is proved, in one sentence."""
        chance = "" if self.sigma == 0 else f"With probability {1 - self.delta:g}: "
        if self.refuted:
            return (
                f"{chance}no model with {self.s} coefficients of size at most {self.R:g} is within {self.eps:g} of the rewards; "
                f"the nearest misses by {self.eps_min:.4g}."
            )
        return (
            f"{chance}no action is better than action {self.recommended} by more than {self.value:.4g}, if rewards are within {self.eps:g} "
            f"of a model with {self.s} coefficients of size at most {self.R:g}."
        )

    def explain(self) -> str:
        """Return the statement, what limits it, and what to do."""
        seen = f" {self.n_distinct} of {self.n_actions} actions have answers, {self.n_alive} of {self.n_supports} supports are left."
        if self.refuted:
            return self.statement + seen + f" Give eps of at least {self.eps_min:.4g}, a larger s or R, or other features."
        if not self.rival_support.size:
            return self.statement + seen + f" The bound is met by action {self.rival}, which has been observed."
        columns = ", ".join(str(column) for column in self.rival_support.tolist())
        return (
            self.statement + seen + f" Action {self.rival} could reach {self.upper:.4g}, by a model on columns {columns}; "
            f"query it to lower the bound. The rewards are no nearer than {self.eps_min:.4g} to any model."
        )

    def verify(self, X: Any, actions: npt.ArrayLike, rewards: npt.ArrayLike) -> bool:
        """Check every number against actions and answers.

        Parameters
        ----------
        X : array-like of shape (n_actions, n_features)
            Actions.
        actions, rewards : array-like of shape (t,)
            Answers, in their order.

        Returns
        -------
        bool
            True if the data are the same, the named models do what is said of them, and the bounds hold. The bounds are recomputed from
            the multipliers of linear programs, which prove them whoever found them; for s up to 2 this is another way than the polygons
            that made the certificate.

        Raises
        ------
        TypeError, ValueError
            Malformed data.
        """
        table, asked, given = read_history(X, actions, rewards, sigma=self.sigma)
        if answer_table(table, asked, given) != self.digest or not 0 <= self.recommended < self.n_actions:
            return False
        seen = observations(table, asked, given, sigma=self.sigma, delta=self.delta)
        models = ConsistentModels(table, s=self.s, R=self.R, max_supports=max(self.n_supports, 1))
        models.settle(seen)
        close = _CHECK * (1.0 + float(np.max(np.abs(seen.values), initial=0.0)))
        if not self._misfit_holds(table, seen, float(models.floors.min()), close):
            return False
        if self.refuted or self.eps_min > widened(self.eps):
            return self.refuted and self.eps_min > widened(self.eps) and math.isnan(self.value)
        models.rule_out(self.eps)
        again = bounds_for(models, seen, recommended=self.recommended, eps=self.eps, by_programs=True)
        honest = self.upper >= again.upper - close and self.lower <= again.lower + close
        return honest and self.value >= max(0.0, self.upper - self.lower) - close and self._rival_reaches(table, seen, close)

    def _misfit_holds(self, table: Any, seen: Observations, floor: float, close: float) -> bool:
        """Return whether no support has a smaller misfit than `eps_min`, and the named model has it."""
        return self.eps_min <= floor + close and self._misfit(table, seen, self.eps_min_support, self.eps_min_coef) <= self.eps_min + close

    def _rival_reaches(self, table: Any, seen: Observations, close: float) -> bool:
        if not self.rival_support.size:
            return True
        reached = float(table[self.rival, self.rival_support] @ self.rival_coef) + self.eps
        agrees = self._misfit(table, seen, self.rival_support, self.rival_coef) <= widened(self.eps) + close
        return agrees and abs(reached - self.upper) <= close * (1.0 + self.R)

    def _misfit(self, table: Any, seen: Observations, support: IntArray, coef: FloatArray) -> float:
        if np.max(np.abs(coef), initial=0.0) > self.R * (1.0 + _CHECK):
            return math.inf
        errors = np.abs(table[np.ix_(seen.actions, support)].astype(np.float64) @ coef - seen.values) - seen.slack()
        return float(np.max(errors, initial=0.0))


def read_history(X: Any, actions: npt.ArrayLike, rewards: npt.ArrayLike, *, sigma: float) -> tuple[Any, IntArray, FloatArray]:
    """Return checked actions and answers."""
    table = canonical_array(X, sparse=True)
    if is_sparse(table):
        table = np.ascontiguousarray(table.toarray())
    asked, given = np.asarray(actions), np.asarray(rewards, dtype=np.float64)
    K = len(table)
    if asked.size and asked.dtype.kind not in "iu":
        raise TypeError(f"actions of dtype {asked.dtype} are not indices; give integers from 0 to {K - 1}")
    if asked.ndim != 1 or asked.shape != given.shape:
        raise ValueError(f"actions have shape {asked.shape}, rewards {given.shape}; give one reward per action, in two lists")
    if asked.size and not (int(asked.min()) >= 0 and int(asked.max()) < K):
        raise ValueError(f"actions run from {asked.min()} to {asked.max()}, but X has {K} rows; give indices from 0 to {K - 1}")
    if not np.all(np.isfinite(given)):
        raise ValueError("rewards hold NaN or infinite numbers; leave out queries that failed")
    asked = asked.astype(np.int64)
    if sigma == 0 and asked.size:
        order = np.argsort(asked, kind="stable")
        twice = (np.diff(asked[order]) == 0) & (np.diff(given[order]) != 0)
        if twice.any():
            action = asked[order][int(np.argmax(twice))]
            raise ValueError(f"action {action} has rewards that differ, but sigma=0 says that they are exact; give the noise level")
    return table, asked, given


def observations(table: Any, asked: IntArray, given: FloatArray, *, sigma: float, delta: float) -> Observations:
    """Return the distinct actions in the order of their first answer, with means and their radii."""
    actions, first, inverse, counts = np.unique(asked, return_index=True, return_inverse=True, return_counts=True)
    if sigma == 0:  # a mean of equal numbers may be off by a bit
        values, radii = given[first], np.zeros(len(actions))
    else:
        values = np.bincount(inverse, weights=given, minlength=len(actions)) / np.maximum(counts, 1)
        radii = np.array([anytime_radius(sigma=sigma, n_pulls=int(n), n_actions=len(table), delta=delta) for n in counts])
    order = np.argsort(first, kind="stable")
    return Observations(actions[order].astype(np.int64), np.asarray(values[order], dtype=np.float64), radii[order].astype(np.float64))


def answer_table(table: Any, asked: IntArray, given: FloatArray) -> str:
    """Return the fingerprint of actions and answers."""
    answers = np.column_stack([asked.astype(np.float64), given]) if asked.size else np.zeros((1, 1))
    return data_digest(table) + data_digest(answers)


@dataclass(frozen=True)
class Bounds:
    """Both sides of a certificate and the prediction behind the upper one, if that is an action without an answer."""

    upper: float
    lower: float
    rival: int
    model: Prediction | None


def bounds_for(models: ConsistentModels, seen: Observations, *, recommended: int, eps: float, by_programs: bool = False) -> Bounds:
    """Return how large a reward can be, and how small that of the recommended action."""
    unseen = np.ones(models.X.shape[0], dtype=np.bool_)
    unseen[seen.actions] = False
    search = models.programs if by_programs else models.largest
    best = search(unseen, seen, eps)
    upper, rival, model = best.value + eps, best.action, best
    tops = seen.values + seen.radii
    known = int(np.argmax(tops)) if tops.size else -1
    if known >= 0 and not upper > tops[known]:
        return Bounds(float(tops[known]), _lower(models, seen, recommended, eps), int(seen.actions[known]), None)
    return Bounds(upper, _lower(models, seen, recommended, eps), rival, model)


def _lower(models: ConsistentModels, seen: Observations, action: int, eps: float) -> float:
    place = np.flatnonzero(seen.actions == action)
    if place.size:
        return float(seen.values[place[0]] - seen.radii[place[0]])
    alone = np.zeros(models.X.shape[0], dtype=np.bool_)
    alone[action] = True
    return -models.programs(alone, seen, eps, negative=True).value - eps


def check_model(*, s: int, eps: float, R: float, sigma: float, delta: float, d: int) -> None:
    """Raise unless the numbers describe a model."""
    check_range(s, name="s", low=1, high=d, integer=True)
    check_range(eps, name="eps", low=0.0, high=math.inf, high_open=True)
    check_range(R, name="R", low=0.0, high=math.inf, low_open=True, high_open=True)
    check_range(sigma, name="sigma", low=0.0, high=math.inf, high_open=True)
    check_range(delta, name="delta", low=0.0, high=1.0, low_open=True, high_open=True)
