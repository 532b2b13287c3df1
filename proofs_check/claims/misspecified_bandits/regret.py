"""Claims about regret when the linear model is wrong: what an error adds to that of a learner without one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from algos.misspecified_bandits import LinearBanditEnv, MisspecifiedLinUCB, PhasedElimination, run
from algos.misspecified_bandits._learner import BanditLearner
from algos.misspecified_bandits.bounds import misspecification_regret
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.misspecified_bandits._problems import actions, errors, few

cat = Catalogue("misspecified_bandits/regret")

_PROOF = "docs/theory/misspecified_bandits.md, Regret"
_SIGMA = 0.3


def _player(method: str, eps: float, seed: int) -> BanditLearner:
    """Make a learner: elimination is not told eps, LinUCB widens its confidence by it."""
    if method == "phased":
        return PhasedElimination(sigma=_SIGMA, random_state=seed)
    return MisspecifiedLinUCB(eps=eps, sigma=_SIGMA)


def _game(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    X = actions(rng, "sphere", point["K"], point["d"])
    theta = rng.standard_normal(point["d"])
    theta /= np.linalg.norm(theta)
    return Instance(dict(point), {"X": X, "theta": theta, "nu": errors(rng, point["errors"], X @ theta, point["eps"])})


def _points(d: int, T: int, kind: str, plays: int) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"method": method, "d": d, "K": 200, "T": T, "eps": eps, "errors": kind, "plays": plays}
        for method in ("phased", "linucb")
        for eps in (0.02, 0.1)
    )


def _regret(inst: Instance, learner: BanditLearner, eps: float, seed: int) -> float:
    nu = inst.nu if eps > 0.0 else 0.0 * inst.nu
    env = LinearBanditEnv(inst.X, inst.X @ inst.theta + nu, sigma=_SIGMA, theta=inst.theta, random_state=seed)
    run(env, learner, budget=inst.T, batch=100 if inst.method == "phased" else 1, look_every=2**40)
    rest = inst.T - int(env.counts.sum())  # elimination has ended: its recommendation is pulled from then on
    return float(env.regret() + rest * (env.mean.max() - env.mean[learner.recommend()]))


@cat.inequality(
    "MB-20",
    budget=FloatBudget(
        k=200, scale=lambda inst, out: float(inst.T), why="a sum over actions of counts times differences of rewards of size one"
    ),
    impl={"player": _player, "allowed": misspecification_regret},
    families=[
        Family("typical", _game, grid=_points(4, 2000, "uniform", 4)),
        Family("flattened", _game, grid=(*_points(4, 2000, "flattened", 4), *_points(8, 5000, "flattened", 2)), role="adversarial"),
    ],
    budgets=few(1, 10, 50),
    mutants=[
        Mutant(
            "wide",
            "impl",
            {"player": lambda f: lambda method, eps, seed: f(method, 20.0 * eps, seed)},
            "the bonus is twenty times as wide as the error: nothing but exploration",
            part="flattened(method=linucb,d=4,*eps=0.02*",
        ),
        Mutant(
            "free",
            "impl",
            {"allowed": lambda f: lambda *, T, d, eps: 0.05 * f(T=T, d=d, eps=eps)},
            "an error costs next to nothing",
            part="flattened(method=linucb,d=4,*",
        ),
        Mutant(
            "once",
            "impl",
            {"allowed": lambda f: lambda *, T, d, eps: f(T=1, d=d, eps=eps)},
            "an error costs once, not in every round",
            part="flattened(method=linucb,d=4,*",
        ),
    ],
    source=Source(
        "paper", reference="Lattimore, Szepesvari, Weisz, ICML 2020, for the rate; the constant is ours", recalled=True, proof=_PROOF
    ),
    blind_to=(
        "how elimination gets worse with an error: at these horizons it gets better as often, since rewards are closer to each other",
    ),
    title="what an error adds to the regret",
    plain="The mean regret, over a few plays, of phased elimination, which is not told eps, and of LinUCB with the wider bonus exceeds "
    "that of the same learner without misspecification by at most 2 eps sqrt(d) T, rewards flattened at the top among the instances.",
    tex=r"R_T(\varepsilon)\le R_T(0)+2\,\varepsilon\sqrt d\,T",
)
def regret_with_and_without_an_error(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the mean regret of a few plays beside that without misspecification and what is allowed on top."""
    seeds = [int(seed) for seed in rng.integers(2**31, size=inst.plays)]
    base = [_regret(inst, _player(inst.method, 0.0, seed), 0.0, seed) for seed in seeds]
    found = [_regret(inst, impl.player(inst.method, inst.eps, seed), inst.eps, seed) for seed in seeds]
    return Outcome(float(np.mean(found)), float(np.mean(base)) + impl.allowed(T=inst.T, d=inst.d, eps=inst.eps))
