"""Claims about LinUCB: what its updates, pull by pull, have drifted by after thousands of pulls."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import MisspecifiedLinUCB
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.misspecified_bandits._problems import actions, few

cat = Catalogue("misspecified_bandits/linucb")

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
State = tuple[FloatArray, FloatArray]
Learn = Callable[[FloatArray, IntArray, FloatArray, float, int], State]

_PROOF = "docs/theory/misspecified_bandits.md, LinUCB"
_DRIFT = 1e-8
_DIGITS = 60


def _history(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Draw actions, which of them are pulled, and rewards."""
    n, T = point["n"], point["T"]
    X = actions(rng, point["shape"], n, point["d"])
    most = {"one": 1, "few": 3, "many": n}[point["pulls"]]
    pulled = rng.integers(0, most, T)
    return Instance(dict(point), {"X": X, "pulled": pulled, "rewards": X[pulled, 0] + 0.1 * rng.standard_normal(T)})


def _learned(X: FloatArray, pulled: IntArray, rewards: FloatArray, ridge: float, refresh: int) -> State:
    learner = MisspecifiedLinUCB(sigma=0.1, misspec="none", ridge=ridge, refresh=refresh).fit(X).tell(pulled, rewards)
    return learner.predictions_, learner.widths_


def _recomputed(X: FloatArray, pulled: IntArray, rewards: FloatArray, ridge: float) -> State:
    """Return predictions and widths of ridge regression, from normal equations in sixty digits."""
    from mpmath import mp

    n, d = X.shape
    counts = np.bincount(pulled, minlength=n)
    with mp.workdps(_DIGITS):
        rows = [mp.matrix(row.tolist()) for row in X]
        sums = [mp.mpf(0)] * n
        for action, reward in zip(pulled.tolist(), rewards.tolist(), strict=True):
            sums[action] += mp.mpf(reward)
        V, b = mp.mpf(ridge) * mp.eye(d), mp.zeros(d, 1)
        for row, count, total in zip(rows, counts.tolist(), sums, strict=True):
            if count:
                V, b = V + count * (row * row.T), b + total * row
        inverse = V**-1
        coef = inverse * b
        predictions = [float((row.T * coef)[0]) for row in rows]
        widths = [float(mp.sqrt((row.T * inverse * row)[0])) for row in rows]
    return np.array(predictions), np.array(widths)


def _textbook(learn: Learn) -> Learn:
    """Update the inverse by its rank-one formula, and never start again."""

    def wrong(X: FloatArray, pulled: IntArray, rewards: FloatArray, ridge: float, refresh: int) -> State:
        inverse, b = np.eye(X.shape[1]) / ridge, np.zeros(X.shape[1])
        for action, reward in zip(pulled.tolist(), rewards.tolist(), strict=True):
            phi = X[action]
            u = inverse @ phi
            inverse = inverse - np.outer(u, u) / (1.0 + phi @ u)
            b = b + reward * phi
        return X @ (inverse @ b), np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", X, inverse, X), 0.0))

    return wrong


def _single(learn: Learn) -> Learn:
    return lambda X, pulled, rewards, ridge, refresh: learn(
        np.asarray(X.astype(np.float32), dtype=np.float64), pulled, rewards, ridge, refresh
    )


def _first_only(learn: Learn) -> Learn:
    def wrong(X: FloatArray, pulled: IntArray, rewards: FloatArray, ridge: float, refresh: int) -> State:
        _, first = np.unique(pulled, return_index=True)
        return learn(X, pulled[first], rewards[first], ridge, refresh)

    return wrong


def _point(pulls: str, ridge: float, refresh: int, shape: str = "sphere") -> dict[str, Any]:
    return {"shape": shape, "n": 30, "d": 4, "T": 10_000, "pulls": pulls, "ridge": ridge, "refresh": refresh}


@cat.inequality(
    "MB-21",
    budget=FloatBudget(k=1, why="the drift itself is compared with what is promised: a multiple of rounding is no part of it"),
    impl={"learn": _learned},
    families=[
        Family("typical", _history, grid=(_point("many", 1.0, 5000),)),
        Family(
            "hard",
            _history,
            grid=(_point("one", 1e-6, 10**9), _point("few", 1e-6, 10**9), _point("many", 1e-6, 5000, "gaussian")),
            role="adversarial",
        ),
    ],
    budgets=few(1, 5, 20),
    mutants=[
        Mutant(
            "never_again", "impl", {"learn": _textbook}, "rank-one updates of the inverse without starting again", part="hard(*pulls=few*"
        ),
        Mutant("single", "impl", {"learn": _single}, "features pass through single precision", part="typical(*pulls=many*"),
        Mutant("first_only", "impl", {"learn": _first_only}, "repeats are not counted", part="typical(*pulls=many*"),
        Mutant(
            "ridge_doubled",
            "impl",
            {"learn": lambda f: lambda X, pulled, rewards, ridge, refresh: f(X, pulled, rewards, 2.0 * ridge, refresh)},
            "another ridge",
            part="typical(*pulls=many*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="incremental updates do not drift",
    plain="After 10,000 pulls, repeats of one action and a tiny ridge included, predictions and widths that were updated pull by pull "
    "agree with those of ridge regression in sixty digits to 1e-8 of their size.",
    tex=r"\lvert\widehat f_t-\widehat f\rvert\le10^{-8}\max\lvert\widehat f\rvert,\qquad\lvert h_t/h-1\rvert\le10^{-8}",
)
def drift_after_many_pulls(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the drift of predictions and widths beside what is promised."""
    f, w = impl.learn(inst.X, inst.pulled, inst.rewards, inst.ridge, inst.refresh)
    right_f, right_w = _recomputed(inst.X, inst.pulled, inst.rewards, inst.ridge)
    drift = [float(np.max(np.abs(f - right_f)) / np.max(np.abs(right_f))), float(np.max(np.abs(w / right_w - 1.0)))]
    return Outcome(np.array(drift), np.full(2, _DRIFT))
