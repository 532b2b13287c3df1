"""Claims about optimistic elimination: what it misses, how much it asks, and that the truth survives."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import (
    AdaptiveAdversary,
    LinearBanditEnv,
    OptimisticElimination,
    run,
)
from algos.misspecified_bandits._columns import largest_length
from algos.misspecified_bandits.bounds import elimination_bound, elimination_candidates
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.misspecified_bandits import _wrong_elimination as wrong
from proofs_check.claims.misspecified_bandits._problems import (
    EPS,
    Env,
    actions,
    few,
    searched_to_the_end,
    sparse_model,
    world,
)

cat = Catalogue("misspecified_bandits/elimination")

FloatArray = npt.NDArray[np.float64]

_PROOF = "docs/theory/misspecified_bandits.md, Optimistic elimination"

# --- the search -----------------------------------------------------------------------------------------------------------------------

_D = 4
_MODELS = ("inside", "boundary", "none")


def _model(rng: np.random.Generator, s: int, R: float, kind: str) -> FloatArray:
    if kind == "none":
        return np.zeros(_D)
    theta = sparse_model(rng, _D, s, R)
    return theta * float(rng.random()) if kind == "inside" else theta


def _played(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    s, share = point["s"], point.get("share", 1.0)
    shape = point["shape"]
    X = actions(rng, shape, point.get("n", 60), _D)
    X = X / largest_length(X, s)
    length = largest_length(X, s)
    eps = EPS / share
    params = {**point, "d": _D, "eps": eps, "eta": EPS, "length": length, "R": 1.0}
    theta = _model(rng, s, 1.0, str(rng.choice(_MODELS)) if share == 1.0 else "none")
    return Instance(params, {"X": X, "theta": theta})


def _grid(shapes: tuple[str, ...], errors: tuple[str, ...], **more: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"shape": shape, "s": s, "errors": kind, **more} for shape in shapes for s in (1, 2) for kind in errors)


def _keeping_most(learner: OptimisticElimination) -> Callable[[int, tuple[float, float, float]], float]:
    """Make an opponent that lets the search go on if it can, and then keeps as many candidates as it can."""

    def choose(action: int, options: tuple[float, float, float]) -> float:
        def score(reward: float) -> tuple[bool, int, float]:
            trial = copy.deepcopy(learner).tell(action, reward)
            return not trial.done_, trial.n_alive_, -reward

        return max(options, key=score)

    return choose


def _environment(inst: Instance, rng: np.random.Generator, learner: OptimisticElimination) -> Env:
    if inst.errors == "lowest":
        return AdaptiveAdversary(inst.X, inst.theta, inst.eps)
    if inst.errors == "keep_most":
        return AdaptiveAdversary(inst.X, inst.theta, inst.eps, choose=_keeping_most(learner))
    return world(rng, inst.X, inst.theta, inst.eps, inst.errors)


def _learner(inst: Instance, impl: Any) -> Any:
    return impl.learner(s=inst.s, eps=inst.eps, R=inst.R, eta=inst.eta)


_OBLIVIOUS = ("uniform", "signs", "flattened")
_ADAPTIVE = ("lowest", "keep_most")
_FAMILIES = (
    Family("oblivious", _played, grid=_grid(("sphere", "gaussian"), _OBLIVIOUS)),
    Family("adaptive", _played, grid=_grid(("sphere", "signs", "repeated", "graded"), _ADAPTIVE), role="adversarial"),
    # a large error beside a fine net: what is missed comes from the error, twice
    Family("large_error", _played, grid=({"shape": "sphere", "s": 1, "errors": "lowest", "share": 1 / 32},), role="adversarial"),
)
_SLACK = FloatBudget(
    k=1,
    scale=lambda inst, out: 2.0**53 * 4e-12 * (1.0 + (inst.R + inst.eta) * inst.length),
    why="the search allows itself 1e-12 of the largest prediction, four times, for values that are computed in two orders",
)


def _mistake(name: str, make: Callable[[Any], Any], why: str, part: str, killer: str = "MB-10") -> Mutant:
    return Mutant(name, "impl", {"learner": make}, why, part=part, killers=(killer,))


@cat.inequality(
    "MB-10",
    bound=elimination_bound,
    params=("eps", "eta", "length"),
    budget=_SLACK,
    impl={"learner": OptimisticElimination},
    families=_FAMILIES,
    budgets=few(3, 30, 300),
    tight=0.95,
    companions=("MB-10a", "MB-10b", "MB-10c"),
    blind_to=("half of the part of the net: no instance was found that loses more than eta B to it",),
    mutants=[
        Mutant(
            "eps_once",
            "bound",
            lambda f: lambda *, eps, eta, length: f(eps=eps / 2.0, eta=eta, length=length),
            "the error counts once",
            part="large_error*",
        ),
        _mistake("stops_at_once", wrong.stopping_after_one, "the first answer is recommended", "oblivious(shape=sphere,s=2,*"),
        _mistake("last_recommended", wrong.recommending_the_last, "the last query is recommended, not the best", "*"),
        _mistake("wide_stop", wrong.stopping_within(4.0), "the search ends within four tolerances", "oblivious(shape=sphere,s=1,*"),
        _mistake("worst_recommended", wrong.recommending_the_worst, "rewards are taken for costs", "oblivious(shape=sphere,s=2,*"),
    ],
    source=Source("derived", proof=_PROOF),
    title="what optimistic elimination misses",
    plain="The action recommended at the end is within 2 eps + 2 eta B of the best one, for errors drawn before play and for opponents "
    "that choose them during play, one of which keeps as many candidates alive as it can.",
    tex=r"\max_br(b)-r(\hat a)\le2\varepsilon+2\eta B",
)
def suboptimality_at_the_end(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the suboptimality of the recommendation."""
    learner = _learner(inst, impl)
    return searched_to_the_end(_environment(inst, rng, learner), learner)


@cat.inequality(
    "MB-10a",
    bound=elimination_candidates,
    params=("d", "s", "eta", "R"),
    impl={"learner": OptimisticElimination},
    families=(
        *_FAMILIES,
        Family("one_net_point", _played, grid=({"shape": "sphere", "s": 1, "errors": "lowest", "n": 3},), role="adversarial"),
    ),
    budgets=few(2, 20, 200),
    mutants=[
        _mistake(
            "asks_again",
            wrong.asking_again,
            "an action is asked again as long as its promise is the largest",
            "adaptive(shape=sphere,s=2,errors=keep_most)",
            "MB-10a",
        ),
        Mutant(
            "net_of_directions",
            "bound",
            lambda f: lambda **k: max(1, f(**k) // 200),
            "the candidates of a single point of the net are counted",
            part="adaptive(shape=sphere,s=2,*",
        ),
    ],
    blind_to=("any smaller number: a handful of queries is usual, against hundreds of candidates",),
    companions=("MB-10d",),
    source=Source("derived", proof=_PROOF),
    title="no more queries than candidates",
    plain="Optimistic elimination asks at most as often as it has candidates, also against an opponent that keeps as many as it can.",
    tex=r"q\le\binom ds|N_\eta|",
)
def number_of_queries(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the number of queries until the search ends, given up after 2000."""
    learner = _learner(inst, impl)
    env = _environment(inst, rng, learner)
    return float(run(env, learner, budget=2000, look_every=2**40).n_pulls)


def largest_misfit(*, eps: float, eta: float, length: float) -> float:
    """Return half of what is missed: by how much the nearest candidate can be wrong about an answer."""
    return elimination_bound(eps=eps, eta=eta, length=length) / 2.0


@cat.inequality(
    "MB-10b",
    bound=largest_misfit,
    params=("eps", "eta", "length"),
    budget=_SLACK,
    impl={"learner": OptimisticElimination},
    families=_FAMILIES,
    budgets=few(3, 30, 300),
    tight=0.95,
    mutants=[
        _mistake(
            "net_forgotten",
            wrong.filtering_within(lambda eps, net: eps),
            "candidates are dropped beyond eps, not eps + eta B",
            "adaptive(shape=sphere,s=2,errors=lowest)",
            "MB-10b",
        ),
        _mistake(
            "error_forgotten",
            wrong.filtering_within(lambda eps, net: net),
            "candidates are dropped beyond eta B",
            "adaptive(shape=sphere,s=2,errors=lowest)",
            "MB-10b",
        ),
        _mistake(
            "strict_filter", wrong.filtering_within(lambda eps, net: 0.9 * (eps + net)), "a tenth less is allowed", "large_error*", "MB-10b"
        ),
        Mutant(
            "eps_halved",
            "bound",
            lambda f: lambda *, eps, eta, length: f(eps=eps / 2.0, eta=eta, length=length),
            "half of the error",
            part="large_error*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the truth survives",
    plain="Whenever the model holds some candidate is left: the one nearest to the truth misses no answer by more than eps + eta B, and is "
    "never dropped, also when errors are chosen during play.",
    tex=r"\min_{w_0}\max_b\lvert\langle w_0,\varphi_b\rangle-y_b\rvert\le\varepsilon+\eta B",
)
def misfit_of_the_nearest_candidate(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the misfit of the net vector nearest to the truth if it is still there, infinity if it was dropped."""
    learner = _learner(inst, impl)
    env = _environment(inst, rng, learner)
    run(env, learner, budget=None, look_every=2**40)
    support = np.flatnonzero(inst.theta)
    if support.size < inst.s:  # any support holds no model at all
        support = np.arange(inst.s)
    w = learner._net[int(np.argmin(np.linalg.norm(learner._net - inst.theta[support], axis=1)))]
    queries, rewards = learner.history_
    place = next(i for i, candidate in enumerate(learner._supports) if np.array_equal(candidate, support))
    alive = learner._alive
    index = int(np.argmin(np.linalg.norm(learner._net - inst.theta[support], axis=1)))
    if alive is not None and not np.any((alive[0] == place) & (alive[1] == index)):
        return math.inf
    return float(np.max(np.abs(inst.X[queries][:, support] @ w - rewards), initial=0.0))


@cat.inequality(
    "MB-10c",
    budget=_SLACK,
    impl={"learner": OptimisticElimination},
    families=_FAMILIES,
    budgets=few(2, 20, 200),
    mutants=[
        _mistake(
            "without_tolerance",
            wrong.promising_without_tolerance,
            "the largest promise is taken for a bound on rewards",
            "adaptive(shape=sphere,s=1,errors=lowest)",
            "MB-10c",
        ),
        _mistake(
            "net_forgotten",
            wrong.filtering_within(lambda eps, net: 0.5 * eps),
            "candidates are dropped beyond half of eps",
            "oblivious(shape=sphere,s=2,errors=signs)",
            "MB-10c",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the bound during the search",
    plain="After every answer the best action is better than the best observed one by no more than the learner says, and at the end that "
    "is at most 2 eps + 2 eta B.",
)
def suboptimality_on_the_way(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the suboptimality after every answer and the last bound, beside the bounds and the formula."""
    learner = _learner(inst, impl)
    env = _environment(inst, rng, learner)
    learner.fit(inst.X)
    found: list[tuple[int, float]] = []
    while not learner.done_:
        asked = learner.ask()
        learner.tell(asked, env.pull(asked))
        found.append((learner.recommend(), learner.bound_ if learner.n_alive_ else 0.0))
    missed = [env.suboptimality(action) for action, _ in found]  # an opponent decides as late as it can
    bounds = [bound for _, bound in found]
    # what an opponent gives to actions that it is asked for later is unknown to a bound that was made earlier, and covered by it
    return Outcome(np.array([*missed, bounds[-1]]), np.array([*bounds, elimination_bound(eps=inst.eps, eta=inst.eta, length=inst.length)]))


def _planted(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Make one action on each axis: every candidate likes its own."""
    n = point["d"]
    return Instance({**point, "eps": 2.0**-20}, {"X": np.eye(n), "theta": np.zeros(n)})


def number_of_axes(*, d: int) -> float:
    """Return d."""
    return float(d)


@cat.identity(
    "MB-10d",
    bound=number_of_axes,
    params=("d",),
    budget=FloatBudget(k=1, why="whole numbers"),
    impl={"learner": OptimisticElimination},
    families=[Family("axes", _planted, grid=tuple({"d": d} for d in (1, 3, 8)), role="adversarial")],
    trials=1,
    mutants=[
        _mistake("stops_at_once", wrong.stopping_after_one, "the first answer ends the search", "axes(d=8)", "MB-10d"),
        _mistake("asks_again", wrong.asking_again, "an action is asked again", "axes(d=8)", "MB-10d"),
    ],
    source=Source("derived", proof=_PROOF),
    title="queries are needed",
    plain="With one action on each axis, rewards of zero and models with one coefficient, every action is queried: d queries, no more.",
)
def queries_on_axes(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the number of queries until the search ends."""
    learner = impl.learner(s=1, eps=inst.eps, R=1.0, eta=0.125)
    env = LinearBanditEnv(inst.X, np.zeros(inst.d))
    return float(run(env, learner, budget=50, look_every=2**40).n_pulls)
