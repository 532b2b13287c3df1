"""Elimination in phases, each with an optimal design of its own: long noisy searches without knowing how wrong the model is."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike
from algos.misspecified_bandits._learner import BanditLearner, IntArray
from algos.misspecified_bandits.bounds import elimination_width, phase_pulls
from algos.misspecified_bandits.optimal_design import g_optimal_design

__all__ = ["PhasedElimination"]

FloatArray = npt.NDArray[np.float64]

_LAST_PHASE = 52  # with exact rewards a tolerance of 2^-52 separates what floats can


@dataclass(frozen=True, eq=False)
class _Estimate:
    """What a finished phase says about the actions that were active in it."""

    phase: int
    best: int
    largest: float
    g: float


class PhasedElimination(BanditLearner):
    r"""Estimate all active actions with an optimal design, drop those far below the best estimate, halve the tolerance, repeat.

    Phase l = 0, 1, ... pulls the actions of a design p on the active set A, in proportion to p and so often that noise moves no estimate by
    more than :math:`2^{-l}`: :math:`\lceil 2p_b\,g\,\sigma^24^l\ln(2|A|(l+1)(l+2)/\delta)\rceil` pulls of b. Least squares on the pulls of
    this phase alone gives the estimates; an action stays if its estimate is within :math:`2\cdot2^{-l}` of the largest.

    The misspecification is not needed. With ``widen=True`` it is used: the width grows by :math:`2\varepsilon(1+\sqrt g)`, so that the best
    action is never dropped, at the price of more regret.

    With ``sigma=0`` each design is queried once, and known answers are not asked for again. The search ends when one action is active; a
    player with rounds left pulls the recommended action.

    Parameters
    ----------
    s : int, default=2
        Model that `certificate` assumes; the search itself uses all columns.
    eps : float, optional
        Misspecification: expected rewards are within eps of a linear model. Required for ``widen=True`` and for a promise.
    R : float, default=1.0
        Model that `certificate` assumes; the search itself has no bound on the model.
    sigma : float, default=0.0
        Noise level of the rewards, in the unit in which :math:`2^{-l}` is a sensible tolerance; 0 means exact.
    delta : float, default=0.05
        Probability that any estimate of any phase is moved further by noise.
    budget : int, optional
        Most pulls; a phase that it cuts off is not used.
    random_state : None, int, Generator or RandomState, default=None
        Starts the designs.
    widen : bool, default=False
        Whether the width accounts for eps.

    Attributes
    ----------
    n_actions_, n_features_in_ : int
    phase_ : int
        Phase that is going on.
    active_ : ndarray of int64
        Actions that are left.
    bound_, guarantee_ :
        With ``widen=True``, or eps = 0: twice the error of the last finished phase's estimates.
    done_, n_queries_, n_distinct_, history_ :
        State of the search.

    Raises
    ------
    ValueError
        At `fit`: ``widen=True`` without eps, or a parameter outside its range.

    Notes
    -----
    Recommended is the action with the largest estimate of the last finished phase, or an action whose exact reward is at least that
    estimate; before the first phase is finished, the best observed one. Answers that were not asked for serve in the first phase that
    needs them. A phase costs a design, in proportion to the active actions times d, per step of it, and one least-squares fit.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import LinearBanditEnv, PhasedElimination, run
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 4))
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> theta = np.array([0.6, -0.8, 0.0, 0.0])
    >>> env = LinearBanditEnv(X, X @ theta, sigma=0.1, theta=theta, random_state=1)
    >>> learner = PhasedElimination(eps=0.0, sigma=0.1, random_state=2)
    >>> trace = run(env, learner, budget=3000, batch=100)
    >>> trace.final <= learner.bound_ <= 0.5, learner.active_.size < 100
    (True, True)
    """

    _takes_single_pulls = True

    def __init__(
        self,
        s: int = 2,
        eps: float | None = None,
        R: float = 1.0,
        sigma: float = 0.0,
        delta: float = 0.05,
        budget: int | None = None,
        random_state: RandomStateLike = None,
        *,
        widen: bool = False,
    ) -> None:
        self.s = s
        self.eps = eps
        self.R = R
        self.sigma = sigma
        self.delta = delta
        self.budget = budget
        self.random_state = random_state
        self.widen = widen

    @property
    def phase_(self) -> int:
        """Phase that is going on."""
        self._check_bound()
        return self._phase

    @property
    def active_(self) -> IntArray:
        """Actions that are left."""
        self._check_bound()
        return self._active.copy()

    # --- the search ---------------------------------------------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.widen and self.eps is None:
            raise ValueError("eps=None with widen=True: the width needs the misspecification; give eps, or widen=False")

    def _start(self) -> None:
        self._phase, self._active = 0, np.arange(self.n_actions_, dtype=np.int64)
        self._last: _Estimate | None = None
        self._spare: dict[int, list[float]] = {}  # answers that no phase has used, the oldest first
        self._best_seen = (-math.inf, 0)
        self._open_phase()
        self._advance()

    def _absorb(self, action: int, value: float) -> None:
        if self.sigma == 0:
            if self._log.count(action) > 1:
                return
            self._best_seen = max(self._best_seen, (value, -action))
        place = self._place.get(action)
        if place is not None and self._got[place] < self._need[place]:
            self._count(place, value)
            self._advance()
        else:
            self._spare.setdefault(action, []).append(value)

    def _propose(self, n: int) -> list[int]:
        wanted: list[int] = []
        for action, need, got in zip(self._pulled.tolist(), self._need.tolist(), self._got.tolist(), strict=True):
            wanted += [action] * min(max(need - got - self._log.out(action), 0), n - len(wanted))
            if len(wanted) == n:
                break
        return wanted

    def _finished(self) -> bool:
        return self._active.size == 1 or (self.sigma == 0 and self._phase > _LAST_PHASE)

    def _choose(self) -> int:
        if self._last is None:
            return super()._choose()
        if self.sigma == 0 and self._best_seen[0] >= self._last.largest:
            return -self._best_seen[1]
        return self._last.best

    # --- phases -------------------------------------------------------------------------------------------------------------------

    def _open_phase(self) -> None:
        """Design the phase for the active actions, and let answers that are there already count."""
        rows = self._X[self._active]
        if rows.any():
            design = g_optimal_design(rows, tol=1.0, random_state=self._rng("design", self._phase))
            support, weights, g = design.support, design.weights[design.support], design.g
        else:  # nothing tells these actions apart
            support, weights, g = np.zeros(1, dtype=np.int64), np.ones(1), 1.0
        self._pulled = self._active[support]
        total = phase_pulls(g=g, sigma=self.sigma, phase=self._phase, n_active=int(self._active.size), delta=self.delta)
        self._need = np.maximum(np.ceil(weights * total), 1.0).astype(np.int64)
        self._got = np.zeros_like(self._need)
        self._sums = np.zeros(self._need.size)
        self._missing = int(self._need.sum())
        self._place = {action: place for place, action in enumerate(self._pulled.tolist())}
        for action, place in self._place.items():
            if self.sigma == 0 and self._log.count(action):
                self._count(place, self._log.mean(action))
            else:
                self._use_spare(action, place)

    def _use_spare(self, action: int, place: int) -> None:
        spare = self._spare.get(action, [])
        used = min(len(spare), int(self._need[place]))
        for value in spare[:used]:
            self._count(place, value)
        if used:
            self._spare[action] = spare[used:]

    def _count(self, place: int, value: float) -> None:
        self._got[place] += 1
        self._sums[place] += value
        self._missing -= 1

    def _advance(self) -> None:
        """Close all phases that have their answers."""
        while self._missing == 0 and not self._finished():
            unchanged = self._close_phase()
            self._phase += 1
            if self._finished():
                return
            if not (unchanged and self.sigma == 0):  # exact answers to the same design say the same again
                self._open_phase()

    def _close_phase(self) -> bool:
        """Estimate, drop actions, and return whether none was dropped."""
        weights = np.sqrt(self._got.astype(np.float64))
        active = np.asarray(self._X[self._active], dtype=np.float64)
        left, values, right = np.linalg.svd(self._X[self._pulled] * weights[:, None], full_matrices=False)
        kept = values > values[:1] * max(left.shape[0], right.shape[1]) * np.finfo(self._X.dtype).eps
        whitened = active @ (right[kept].T / values[kept])
        estimates = whitened @ (left[:, kept].T @ (weights * (self._sums / self._got)))
        g = float(self._got.sum()) * float(np.max(np.einsum("ij,ij->i", whitened, whitened), initial=0.0))
        largest = float(estimates.max())
        self._last = _Estimate(self._phase, int(self._active[int(np.argmax(estimates))]), largest, g)
        eps = float(self.eps) if self.widen and self.eps is not None else 0.0
        stays = estimates >= largest - elimination_width(phase=self._phase, eps=eps, g=g)
        self._active = self._active[stays]
        return bool(stays.all())

    # --- the promise --------------------------------------------------------------------------------------------------------------

    def _promise(self) -> Guarantee:
        if self.eps is None:
            return Guarantee("none", reason="eps=None: how wrong the linear model is must be known for a promise")
        if not self.widen and self.eps > 0:
            return Guarantee("none", reason="with widen=False the best action may be dropped where the model is wrong")
        if self._last is None:
            return Guarantee("none", reason="the first phase is not finished")
        value = 2.0 * self.eps * (1.0 + math.sqrt(self._last.g))
        premises = (f"expected rewards are within {self.eps:g} of a linear model",)
        if self.sigma == 0:
            return Guarantee("worst case", value, premises)
        noise = f"noise is {self.sigma:g}-subgaussian and independent"
        return Guarantee(f"with probability {1 - self.delta:g}", value + 2.0 * 2.0**-self._last.phase, (*premises, noise))
