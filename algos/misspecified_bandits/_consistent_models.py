"""The models that agree with the answers, support by support: which supports are left, and how much an action can still promise.

A model on the support S is a vector w with entries of size at most R, and it agrees with the answers if every answered action b has
``|<w, phi_S(b)> - y_b| <= eps (1 + 1e-6) + e_b + 1e-9 (1 + |y_b|)``, where e_b is the radius of its mean. The two small terms are needed:
misspecification of size eps on every answered action leaves a single point, which rounding would miss.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits._polygon_kernels import corner_predictions, model_corners
from algos.misspecified_bandits._polytope_kernels import largest_prediction, misfit_floors
from algos.misspecified_bandits._supports import count_supports, support_block

__all__ = ["ConsistentModels", "Observations", "Prediction", "all_supports", "widened"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_SLACK = 1e-9
_WIDER = 1e-6


@dataclass(frozen=True, eq=False)
class Observations:
    """Distinct actions with their mean rewards and the radii of these means."""

    actions: IntArray
    values: FloatArray
    radii: FloatArray

    def slack(self) -> FloatArray:
        """Return what each answer may be off by, apart from misspecification."""
        return np.asarray(self.radii + _SLACK * (1.0 + np.abs(self.values)))


@dataclass(frozen=True, eq=False)
class Prediction:
    """The largest prediction: its value, the action, the columns of the model, and its coefficients. Without any, -inf and action -1."""

    value: float
    action: int
    support: IntArray
    coef: FloatArray


def widened(eps: float) -> float:
    """Return the misspecification beyond which a model counts as refuted."""
    return eps * (1.0 + _WIDER)


def all_supports(d: int, s: int, max_supports: int) -> IntArray:
    """Return all supports, or raise a ValueError if there are too many."""
    total = count_supports(d, s)
    if total > max_supports:
        raise ValueError(
            f"s={s} of {d} columns: {total} supports are more than max_supports={max_supports}; drop columns, lower s, or raise it"
        )
    return support_block(0, total, d, s)


class ConsistentModels:
    """Supports with their misfits, which only grow as answers come, so that a support that is ruled out stays so.

    Parameters
    ----------
    X : ndarray of shape (n_actions, n_features)
        Actions, float64 or float32.
    s : int
        Columns of a model.
    R : float
        Largest size of a coefficient.
    max_supports : int
        Most supports.
    """

    def __init__(self, X: Any, *, s: int, R: float, max_supports: int) -> None:
        self.X, self.s, self.R = X, s, float(R)
        self.supports = all_supports(X.shape[1], s, max_supports)
        n = len(self.supports)
        self.alive = np.ones(n, dtype=np.bool_)
        self.floors, self.coefs = np.zeros(n), np.zeros((n, s))
        # a corner of the box and misfit 0; every later basis is a start for more answers
        self._bases = np.tile(np.append(2 * np.arange(s), 2 * s), (n, 1)).astype(np.int64)
        self._columns: Any = None

    def settle(self, seen: Observations, *, stop: float = np.inf) -> None:
        """Update the least misfit of every support that is left; the work on one ends early beyond `stop`.

        `seen` must begin with the answers of the last call.
        """
        slack = seen.slack()
        low, high = seen.values - slack, seen.values + slack
        misfit_floors(self._rows(seen), low, high, self.supports, self.alive, self.R, stop, self._bases, self.floors, self.coefs)

    def rule_out(self, eps: float) -> None:
        """Drop the supports whose misfit exceeds `eps`."""
        self.alive &= self.floors <= widened(eps)

    def largest(self, wanted: BoolArray, seen: Observations, eps: float) -> Prediction:
        """Return the largest prediction for the wanted actions of a model that agrees with the answers."""
        if self.s > 2:
            return self._largest_by_programs(wanted, seen, eps, self.alive)
        best, which, thin = self.predictions(seen, eps)
        place = int(np.argmax(np.where(wanted, best, -np.inf))) if wanted.any() else -1
        by_corner = Prediction(-np.inf, -1, np.empty(0, dtype=np.int64), np.empty(0))
        if place >= 0 and best[place] > -np.inf:
            by_corner = self._prediction_at_corner(place, int(which[place]), seen, eps, float(best[place]))
        if thin.any():  # rounding left no corner of a model that exists
            by_program = self._largest_by_programs(wanted, seen, eps, thin)
            return max(by_corner, by_program, key=lambda prediction: prediction.value)
        return by_corner

    def predictions(self, seen: Observations, eps: float) -> tuple[FloatArray, IntArray, BoolArray]:
        """Return the largest prediction of every action, by which support, and the supports without corners; for s of 1 or 2."""
        if self._columns is None:
            self._columns = np.ascontiguousarray(self.X.T)
        K = self.X.shape[0]
        best, which, thin = np.full(K, -np.inf), np.full(K, -1, dtype=np.int64), np.zeros(len(self.supports), dtype=np.bool_)
        low, high = self._limits(seen, eps)
        corner_predictions(self._columns, self._rows(seen), low, high, self.supports, self.alive, self.R, best, which, thin)
        return best, which, thin

    def programs(self, wanted: BoolArray, seen: Observations, eps: float, *, negative: bool = False) -> Prediction:
        """Return what `largest` returns, by linear programs for every s; of the negated actions if `negative`."""
        return self._largest_by_programs(wanted, seen, eps, self.alive, negative=negative)

    def _largest_by_programs(
        self, wanted: BoolArray, seen: Observations, eps: float, alive: BoolArray, *, negative: bool = False
    ) -> Prediction:
        low, high = self._limits(seen, eps)
        coef, places = np.zeros(self.s), np.flatnonzero(wanted)
        rows = np.ascontiguousarray(-self.X[places] if negative else self.X[places])
        every = np.ones(len(places), dtype=np.bool_)
        value, row, place = largest_prediction(rows, every, self._rows(seen), low, high, self.supports, alive, self.R, -np.inf, coef)
        support = self.supports[place] if place >= 0 else np.empty(0, dtype=np.int64)
        return Prediction(float(value), int(places[row]) if row >= 0 else -1, support, coef)

    def _prediction_at_corner(self, action: int, place: int, seen: Observations, eps: float, value: float) -> Prediction:
        low, high = self._limits(seen, eps)
        corners, spare = (np.empty((8 + 4 * low.size, 2)) for _ in range(2))
        support = self.supports[place]
        n = model_corners(self._rows(seen), low, high, support, self.R, corners, spare)
        row = self.X[action, support].astype(np.float64)
        corner = corners[int(np.argmax(corners[:n, : self.s] @ row)), : self.s]
        return Prediction(value, action, support, corner.copy())

    def _limits(self, seen: Observations, eps: float) -> tuple[FloatArray, FloatArray]:
        reach = widened(eps) + seen.slack()
        return np.asarray(seen.values - reach), np.asarray(seen.values + reach)

    def _rows(self, seen: Observations) -> FloatArray:
        return np.ascontiguousarray(self.X[seen.actions], dtype=np.float64)
