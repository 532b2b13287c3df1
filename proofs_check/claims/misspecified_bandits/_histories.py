"""Histories of searches with their truth: of all learners, hostile ones, and the worlds that certificates name as the worst."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import (
    AdaptiveAdversary,
    BanditCertificate,
    ExactVersionSpace,
    ExhaustiveSearch,
    HullEnumeration,
    MisspecifiedLinUCB,
    OptimisticElimination,
    RandomSearch,
    SparseCoverEnumeration,
    SparseRecoveryBandit,
    certify_history,
    run,
)
from algos.misspecified_bandits._learner import BanditLearner
from proofs_check import Instance, Mutant
from proofs_check.claims.misspecified_bandits import _certificate_oracles as oracles
from proofs_check.claims.misspecified_bandits._problems import EPS, actions, diabetes, sparse_model, world

FloatArray = npt.NDArray[np.float64]

K, D = 40, 4

LEARNERS: dict[str, Callable[[int], BanditLearner]] = {
    "random": lambda s: RandomSearch(s, EPS, random_state=0),
    "exhaustive": lambda s: ExhaustiveSearch(s, EPS),
    "hull": lambda s: HullEnumeration(s, EPS),
    "cover": lambda s: SparseCoverEnumeration(s, EPS, eta=0.3),
    "elimination": lambda s: OptimisticElimination(s, EPS, eta=0.3),
    "version_space": lambda s: ExactVersionSpace(s, EPS, target=0.0),
    "linucb": lambda s: MisspecifiedLinUCB(s, EPS),
    "recovery": lambda s: SparseRecoveryBandit(s, EPS, random_state=0, on_coherent="ignore"),
}

# --- histories ------------------------------------------------------------------------------------------------------------------------


def searched(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Let a learner search, for as long as it wants, and keep its history."""
    s = point["s"]
    X = actions(rng, point.get("shape", "sphere"), K, D)
    theta = sparse_model(rng, D, s)
    learner = LEARNERS[point["learner"]](s)
    if point["errors"] == "opponent":
        opponent = AdaptiveAdversary(X, theta, EPS)
        run(opponent, learner, budget=20, look_every=2**40)
        mean = opponent.mean
    else:
        env = world(rng, X, theta, EPS, point["errors"])
        run(env, learner, budget=30, look_every=2**40)
        mean = env.mean
    asked, given = learner.history_
    return history(point, X, asked, given, mean, EPS)


def history(point: Mapping[str, Any], X: FloatArray, asked: Any, given: FloatArray, mean: FloatArray, eps: float) -> Instance:
    """Make the instance: answers for the algorithm, the truth for the comparison."""
    return Instance({**point, "eps": eps, "R": point.get("R", 1.0)}, {"X": X, "asked": asked, "given": given, "mean": mean})


def of_diabetes(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Ask for random actions of a real surface, whose distance from sparse models is known from linear programs."""
    X, mean, fit = diabetes(point["s"])
    asked = rng.choice(len(X), point["q"], replace=False)
    R = float(np.max(np.abs(fit.theta))) * (1.0 + 1e-9)
    return history({**point, "R": R}, X, asked, mean[asked], mean, fit.eps)


def few_answers(rng: np.random.Generator, point: Mapping[str, Any], errors: str) -> tuple[FloatArray, Any, FloatArray, float]:
    """Draw actions, and answers to some of them, with coefficients of any size up to R."""
    s, R = point["s"], point.get("R", 1.0)
    X = actions(rng, "sphere", K, D)
    theta = np.zeros(D)
    theta[rng.choice(D, s, replace=False)] = rng.uniform(-R, R, s)
    asked = rng.choice(K, point["q"], replace=False)
    given = X[asked] @ theta + (rng.uniform(-EPS, EPS, asked.size) if errors == "uniform" else rng.choice([-EPS, EPS], asked.size))
    return X, asked, given, R


def rival_world(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Make the rival of a certificate the truth: a world that agrees with all answers, in which it is attained."""
    while True:
        X, asked, given, R = few_answers(rng, point, "uniform")
        # a little less than eps, so that what a certificate allows for rounding does not make the world illegal
        made = certify_history(X, asked, given, s=point["s"], eps=EPS * (1.0 - 1e-5), R=R)
        if not made.refuted and made.rival_support.size:
            break
    theta = np.zeros(D)
    theta[made.rival_support] = np.clip(made.rival_coef, -R, R)
    mean = X @ theta - EPS
    mean[made.rival] += 2.0 * EPS
    mean[asked] = given
    return history(point, X, asked, given, mean, EPS)


def collapsed(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Answer copies of actions with eps too much and with eps too little: a single model is left."""
    s = point["s"]
    half = actions(rng, "sphere", K // 2, D)
    X, theta = np.repeat(half, 2, axis=0), sparse_model(rng, D, s)
    mean = X @ theta + np.tile([-EPS, EPS], K // 2)
    asked = np.arange(2 * (D + 2))
    mean[asked.size :] = X[asked.size :] @ theta + rng.choice([-EPS, EPS], K - asked.size)
    return history(point, X, asked, mean[asked], mean, EPS)


def unseen(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Recommend an action without an answer, and make it as bad as the answers allow."""
    X, asked, given, R = few_answers(rng, point, "uniform")
    action = int(rng.choice(np.setdiff1d(np.arange(K), asked)))
    made = certify_history(X, asked, given, s=point["s"], eps=EPS * (1.0 - 1e-5), R=R, recommended=action)
    support, coef = oracles.extreme_model(X, asked, given, point["s"], EPS * (1.0 - 1e-5), R, -X[action])
    theta = np.zeros(D)
    theta[support] = np.clip(coef, -R, R)
    mean = X @ theta + EPS
    mean[action] -= 2.0 * EPS
    mean[asked] = given
    assert not made.refuted
    return Instance({**point, "eps": EPS, "R": R}, {"X": X, "asked": asked, "given": given, "mean": mean, "recommended": action})


def all_seen(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Observe all actions, with errors of a multiple of eps."""
    X, theta = actions(rng, "sphere", K, D), sparse_model(rng, D, point["s"])
    asked = rng.permutation(K)
    mean = X @ theta + point["factor"] * EPS * rng.choice([-1.0, 1.0], K)
    return history({**point}, X, asked, mean[asked], mean, EPS)


HISTORIES = tuple(
    {"learner": name, "s": s, "errors": errors}
    for name in LEARNERS
    for s, errors in ((1, "signs"), (2, "signs"), (2, "uniform"), (3, "flattened"))
)
OPPONENTS = tuple(
    {"learner": name, "s": s, "errors": "opponent"} for name in ("random", "hull", "version_space", "elimination", "linucb") for s in (1, 2)
)
SIZES = tuple({"s": s, "q": q, "R": R} for s, q, R in ((1, 3, 1.0), (2, 3, 1.0), (2, 8, 1.0), (3, 6, 1.0), (2, 5, 0.25)))


def certified(inst: Instance, impl: Any, q: int) -> BanditCertificate:
    """Certify the first q answers."""
    options = {"recommended": inst.recommended} if "recommended" in inst.data else {}
    made: BanditCertificate = impl.certify(inst.X, inst.asked[:q], inst.given[:q], s=inst.s, eps=inst.eps, R=inst.R, **options)
    return made


def mistake(name: str, make: Callable[[Any], Any], why: str, part: str, killer: str) -> Mutant:
    """Make a mutant of certificates."""
    return Mutant(name, "impl", {"certify": make}, why, part=part, killers=(killer,))
