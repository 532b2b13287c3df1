"""Claims about recovery of sparse models from few random queries: how far predictions are off."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import NormingConstant, SparseRecoveryBandit, make_sparse_sign, run
from proofs_check import Budget, Catalogue, Family, Instance, Mutant, Source, Subject

cat = Catalogue("misspecified_bandits/sparse_recovery")

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Norming = Callable[..., NormingConstant]
Make = Callable[..., SparseRecoveryBandit]

_PROOF = "docs/theory/misspecified_bandits.md, Good features"

# --- recovery from few queries --------------------------------------------------------------------------------------------------------


def _recovery_error(*, s: int, eps: float, delta: float) -> float:
    r"""Return :math:`2\sqrt s\,\epsilon`, by which predictions are off at most; the queries are unlucky with probability below delta."""
    return 2.0 * math.sqrt(s) * eps


_OPPONENTS = ("decoy", "hide_tail", "flatten_top")


def _learner(method: str) -> Make:
    return partial(SparseRecoveryBandit, method=method, check_best=False, on_coherent="ignore")


def _after_the_queries(make: Make, **changes: Any) -> Make:
    return lambda **options: make(**{**options, **changes})


class _LeastSquares(SparseRecoveryBandit):
    """Fits all columns, by the least-squares solution of least length."""

    def _fitted(self) -> FloatArray:
        known = np.array(sorted(self._means), dtype=np.int64)
        return np.asarray(np.linalg.lstsq(self._rows(known), np.array([self._means[i] for i in known.tolist()]), rcond=None)[0])


class _OneShot(SparseRecoveryBandit):
    """Keeps the columns of the largest correlations, with the correlations as coefficients."""

    def _fitted(self) -> FloatArray:
        known = np.array(sorted(self._means), dtype=np.int64)
        match = self._rows(known).T @ np.array([self._means[i] for i in known.tolist()]) / len(known)
        match[np.argsort(-np.abs(match), kind="stable")[self.s :]] = 0.0
        return np.asarray(match)


def _of(kind: type[SparseRecoveryBandit]) -> Callable[[Make], Make]:
    return lambda make: partial(kind, check_best=False, on_coherent="ignore")


def _point(d: int, s: int, adversary: str, signal: str) -> dict[str, Any]:
    return {"d": d, "s": s, "adversary": adversary, "signal": signal, "eps": 0.0625}


_MISTAKES = {
    "log_forgotten": Mutant(
        "log_forgotten",
        "impl",
        {"learner": lambda make: _after_the_queries(make, factor=0.6)},
        "about s queries for each of s coefficients, without the logarithm of d / s",
        part="omp:opposed(d=60,s=3,adversary=any*",
    ),
    "no_sparsity": Mutant("no_sparsity", "impl", {"learner": _of(_LeastSquares)}, "all columns are fitted", part="omp:typical(d=30,s=2*"),
    "one_shot": Mutant(
        "one_shot", "impl", {"learner": _of(_OneShot)}, "correlations are taken for coefficients", part="omp:typical(d=30,s=2*"
    ),
    "one_column_short": Mutant(
        "one_column_short",
        "impl",
        {"learner": lambda make: lambda **options: make(**{**options, "s": options["s"] - 1})},
        "one coefficient is not looked for",
        part="omp:typical(d=30,s=2*",
    ),
    "no_root": Mutant(
        "no_root",
        "bound",
        lambda f: lambda *, s, eps, delta: f(s=s, eps=eps, delta=delta) / (2 * s),
        "eps over the root of s",
        part="omp:*",
    ),
}


@cat.tail(
    "MB-12",
    bound=_recovery_error,
    levels=(0.1,),
    subjects=[Subject(method, {"learner": _learner(method)}) for method in ("omp", "htp", "lasso")],
    families=[
        Family("typical", grid=(_point(30, 2, "random", "equal"),)),
        Family("opposed", grid=(_point(60, 3, "any", "geometric"),), role="adversarial"),
    ],
    budgets={
        "quick": Budget(192, 16, slack_trials=16),
        "full": Budget(1024, 64, slack_trials=512),
        "nightly": Budget(16_384, 64, slack_trials=4096),
    },
    mutants=list(_MISTAKES.values()),
    source=Source(
        "folklore", "stability under the restricted isometry property; the constant 2 is ours, measured and attacked", recalled=True
    ),
    title="recovery from few random queries",
    plain="With random signs and 4 s ln(e d / s) random queries, matching pursuit, thresholding pursuit and the refitted lasso predict "
    "every action within 2 sqrt(s) eps, except with probability 1/10: when the queries are unlucky, one is missed and the error is large.",
    tex=r"\max_a\lvert\langle\hat\theta-\theta,\varphi_a\rangle\rvert\le2\sqrt s\,\varepsilon",
)
def largest_prediction_error(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the largest difference of predictions and linear parts over all actions."""
    adversary = str(rng.choice(_OPPONENTS)) if inst.adversary == "any" else inst.adversary
    world = make_sparse_sign(150, inst.d, inst.s, inst.eps, adversary=adversary, signal=inst.signal, R=math.sqrt(inst.s), random_state=rng)
    learner = impl.learner(s=inst.s, eps=inst.eps, random_state=int(rng.integers(2**31)))
    run(world.env(), learner, budget=None, batch=1000, look_every=2**40)
    return float(np.max(np.abs(world.X @ (learner.coef_ - world.theta))))
