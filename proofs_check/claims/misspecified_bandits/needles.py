"""Claims about the price of small errors: how many actions hide a needle of what size, for sparse, equal and dense features."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from algos.misspecified_bandits import HullEnumeration, NeedleInstance, make_jl_needle, make_rs_needle, transcript_success
from algos.misspecified_bandits.bounds import coherence_bound, jl_gap_ratio, needle_queries, needle_success_curve, rs_actions
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.misspecified_bandits import _needle_worlds as worlds
from proofs_check.claims.misspecified_bandits import _wrong_hulls
from proofs_check.claims.misspecified_bandits._needle_worlds import RATIONAL, hidden, made, needles, subjects
from proofs_check.claims.misspecified_bandits._problems import few

cat = Catalogue("misspecified_bandits/environments")

_PROOF = "docs/theory/misspecified_bandits.md, Needles"

# --- error against queries ------------------------------------------------------------------------------------------------------------


def _sizes(*triples: tuple[int, int, int], **more: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"s": s, "p": p, "t": t, **more} for s, p, t in triples)


_PRICED = _sizes((2, 3, 1), (2, 11, 1), (3, 5, 1), (3, 5, 2), (5, 7, 2), (5, 5, 3), (7, 11, 3), (8, 11, 3))


def _price(point: Mapping[str, Any], ratio: float) -> Instance:
    return Instance({**point, "d": point["s"] * point["p"], "ratio": ratio})


def _between(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Ask for a ratio between those of two degrees."""
    return _price(point, 2.0 * point["s"] / (point["t"] + rng.uniform(0.01, 0.99)))


def _at_the_edge(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Ask for the ratio of a degree itself, up to its rounding."""
    ratio = 2.0 * point["s"] / point["t"]
    return _price(point, float(np.nextafter(ratio, rng.choice([0.0, ratio, math.inf]))))


_PRICES = [
    Family("between", _between, grid=_PRICED),
    Family("at_the_edge", _at_the_edge, grid=_PRICED, role="adversarial"),
]


def _instance(s: int, p: int, t: int) -> NeedleInstance:
    return make_rs_needle(s, p, t, eps=0.125, needle=0)


def _with_exponent(exponent: Callable[[int, float], int]) -> Callable[[Any], Any]:
    return lambda f: lambda *, s, d, ratio: float(d // s) ** exponent(s, ratio)


@cat.identity(
    "MB-14",
    bound=rs_actions,
    budget=FloatBudget(k=1, why="a power of a whole number below 2^53: exact"),
    impl={"make": _instance},
    families=_PRICES,
    budgets=few(3, 20, 100),
    mutants=[
        Mutant("one_less", "bound", _with_exponent(lambda s, ratio: math.floor(2 * s / ratio * (1 + 1e-12))), "degree for number of terms"),
        Mutant("rounded_up", "bound", _with_exponent(lambda s, ratio: math.ceil(2 * s / ratio) + 1), "the ceiling for the floor"),
        Mutant("one_sided", "bound", _with_exponent(lambda s, ratio: math.floor(s / ratio * (1 + 1e-12)) + 1), "a gap of eps s / t"),
        Mutant(
            "edges_lost",
            "bound",
            _with_exponent(lambda s, ratio: math.floor(2 * s / ratio) + 1),
            "a ratio that was rounded up loses its degree",
            part="at_the_edge*",
        ),
        Mutant(
            "power_of_d", "bound", lambda f: lambda *, s, d, ratio: f(s=1, d=d, ratio=2.5) * f(s=s, d=d, ratio=ratio), "d in place of d/s"
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="how many actions an error costs",
    plain="The instance for errors below rho eps has (d / s)^(floor(2 s / rho) + 1) different actions, also where rho is the rounded ratio "
    "of a degree.",
    tex=r"N=(d/s)^{\lfloor2s/\rho\rfloor+1}",
)
def different_actions(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the number of different rows of the instance."""
    columns = np.flatnonzero(impl.make(inst.s, inst.p, inst.t).X) % inst.d
    return float(len(np.unique(columns.reshape(-1, inst.s), axis=0)))


def _wanted(*, ratio: float) -> float:
    """Return the ratio itself: the gap over eps must reach it."""
    return ratio


@cat.inequality(
    "MB-14a",
    bound=_wanted,
    sense=">=",
    budget=FloatBudget(
        k=6,
        scale=lambda inst, out: inst.ratio,
        why="three products and a sum and difference of gap and eps, and a ratio that is off by its last bit",
    ),
    impl={"make": _instance},
    families=_PRICES,
    budgets=few(3, 20, 100),
    mutants=[
        Mutant(
            "degree_too_large",
            "impl",
            {"make": lambda f: lambda s, p, t: f(s, p, min(t + 1, s - 1))},
            "one degree more hides a smaller needle",
            part="between(s=5,p=7,t=2)",
        ),
        Mutant("factor_four", "bound", lambda f: lambda *, ratio: 2.0 * f(ratio=ratio), "errors that differ by 4 eps"),
    ],
    source=Source("derived", proof=_PROOF),
    title="how large an error is hidden",
    plain="On that instance, whose misspecification is eps, every action but the needle is at least rho eps below it.",
    tex=r"\frac{\Delta}{\varepsilon}=\frac{2s}{t}\ge\rho",
)
def gap_over_error(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the suboptimality of the last action over eps."""
    instance = impl.make(inst.s, inst.p, inst.t)
    return float(instance.gap / instance.eps)


# --- the sharp pair -------------------------------------------------------------------------------------------------------------------


@cat.identity(
    "MB-15",
    budget=RATIONAL,
    impl={"learner": HullEnumeration},
    families=[
        Family("all_needles", grid=_sizes((2, 3, 1), (2, 5, 1), each=1), role="enumeration"),
        Family("some_needles", grid=_sizes((2, 7, 1), (3, 3, 2), each=9), role="adversarial"),
    ],
    budgets=few(1, 4, 20),
    mutants=[
        Mutant(
            "columns_only",
            "impl",
            {"learner": _wrong_hulls.planned(_wrong_hulls.columns)},
            "ends of columns in place of vertices",
            part="all_needles(s=2,p=5,*",
        ),
        Mutant(
            "half_of_the_plan",
            "impl",
            {"learner": _wrong_hulls.planned(_wrong_hulls.first_half)},
            "half of the vertices are queried",
            part="all_needles(s=2,p=3,*",
        ),
        Mutant(
            "worst_recommended",
            "impl",
            {"learner": _wrong_hulls.recommending_the_worst},
            "rewards are taken for costs",
            part="all_needles(s=2,p=3,*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="hulls pay the sharp price",
    plain="With polynomials of degree s - 1 every action is a vertex: the enumeration of hulls queries all (d / s)^s, each once, and finds "
    "the needle.",
)
def price_of_hulls(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return queries, different queries and suboptimality for every needle, beside N, N and 0."""
    instance = needles("polynomials", inst.s, inst.p, inst.t)
    n, found = instance.n_actions, []
    for needle in range(0, n, inst.each):
        learner = impl.learner(s=inst.s)
        env = hidden(instance, needle, 0.0, rng)
        found.append([worlds.searched(env, learner, 2 * n), learner.n_queries_, learner.n_distinct_])
    return Outcome(np.array(found, dtype=np.float64), np.tile([0.0, n, n], (len(found), 1)))


def _a_chance(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({**point, "probability": float(rng.uniform(3.0, point["N"]) / point["N"])})


def _a_share(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Ask for a chance of a whole number of actions over N, which rounding may lift."""
    shares = [k / point["N"] for k in range(3, point["N"] + 1)]
    lifted = [share for k, share in enumerate(shares, start=3) if math.ceil(share * point["N"]) > k]
    return Instance({**point, "probability": float(rng.choice(lifted or shares))})


_WORLDS = ({"world": "polynomials", "sizes": (2, 5, 1), "N": 25}, {"world": "equal", "sizes": (29,), "N": 29})


@cat.identity(
    "MB-15a",
    bound=needle_queries,
    budget=RATIONAL,
    impl={"learner": worlds.UnseenGuess},
    families=[Family("chances", _a_chance, grid=_WORLDS), Family("shares", _a_share, grid=_WORLDS, role="adversarial")],
    budgets=few(3, 20, 100),
    mutants=[
        Mutant("no_guess", "bound", lambda f: lambda *, N, probability: f(N=N, probability=probability) + 1, "the guess is not counted"),
        Mutant("rounded_down", "bound", lambda f: lambda *, N, probability: math.floor(probability * N) - 1, "the floor for the ceiling"),
        Mutant(
            "shares_lifted",
            "bound",
            lambda f: lambda *, N, probability: math.ceil(probability * N) - 1,
            "a rounded share of the actions costs one query more",
            part="shares*",
        ),
        Mutant("queries_twice", "impl", {"learner": worlds.querying_twice}, "queries are repeated", part="chances(world=equal*"),
    ],
    source=Source("derived", proof=_PROOF),
    title="queries for a chance",
    plain="The fewest queries with which a learner that wastes nothing finds the needle with probability P are ceil(P N) - 1: for the "
    "sparse instance with t = s - 1, where this is an error below 2 eps s / (s - 1), and for equal features, an error below 2 eps.",
    tex=r"q=\lceil PN\rceil-1",
)
def fewest_queries(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the least number of queries that reaches the chance, from one run for each number."""
    instance = needles(inst.world, *inst.sizes)
    wanted = Fraction(inst.probability).limit_denominator(10**6)
    for q in range(1, 3 * instance.n_actions):
        if transcript_success(made(impl.learner, instance, seed=0), instance, budget=q).success >= wanted:
            return float(q)
    return math.inf


# --- the dimension ----------------------------------------------------------------------------------------------------------------------


def _sample(instance: NeedleInstance, learner: Any, q: int) -> Fraction:
    return transcript_success(learner, instance, budget=q).success


@cat.inequality(
    "MB-16",
    bound=needle_success_curve,
    budget=FloatBudget(k=1, why="one division: the fraction of needles that are found is exact"),
    subjects=subjects("in_order", "at_random", "linucb", "recovery", "unseen_guess", chance=_sample),
    families=[
        Family(
            "wide",
            grid=(
                *_sizes((3, 31, 0), N=31, q=12),
                *_sizes((3, 31, 1), N=961, q=40),
                *_sizes((2, 11, 0), N=11, q=9),
            ),
            role="adversarial",
        )
    ],
    budgets=few(1, 10, 50),
    mutants=[
        Mutant("guess_only", "bound", lambda f: lambda *, q, N: f(q=0, N=N), "queries add nothing to the chance of a guess"),
        Mutant("one_power_more", "bound", lambda f: lambda *, q, N: f(q=q, N=31 * N), "(d / s)^(t + 2) actions"),
        Mutant(
            "repeats_count",
            "impl",
            {"chance": lambda f: lambda instance, learner, q: f(instance, learner, 2 * q)},
            "twice the queries that are counted",
            part="unseen_guess:*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the dimension does not go away",
    plain="With disjoint supports and no misspecification at all (t = 0), and with t = 1, where the gap is 2 s eps, no learner finds the "
    "needle among (d / s)^(t + 1) more often than (q + 1) / N, exactly.",
    tex=r"\mathbb{P}(\text{found})\le(q+1)\,(d/s)^{-(t+1)}",
)
def chance_in_many_columns(inst: Instance, rng: np.random.Generator, impl: Any) -> Fraction:
    """Return the exact chance of a learner with coins of this trial."""
    instance = needles("polynomials", inst.s, inst.p, inst.t)
    return Fraction(impl.chance(instance, made(impl.learner, instance, seed=int(rng.integers(2**31))), inst.q))


# --- dense needles ----------------------------------------------------------------------------------------------------------------------


@cat.lower(
    "MB-17",
    bound=needle_success_curve,
    subjects=subjects("in_order", "at_random", "linucb", "recovery", cheater=True, world=hidden),
    families=[Family("signs", grid=({"sizes": (40, 24, 0), "N": 40, "q": 8},), role="adversarial")],
    trials={"quick": 128, "full": 4096, "nightly": 65_536},
    mutants=[
        Mutant("told_the_answer", "impl", {"search": worlds.peeking}, "the learner reads the world", part="at_random:*"),
        Mutant(
            "batches_counted_as_queries", "impl", {"search": worlds.thrice_the_budget}, "three answers for each query", part="at_random:*"
        ),
        Mutant("neighbours_differ", "impl", {"world": worlds.linear}, "rewards are linear: no error hides the needle", part="linucb:*"),
        Mutant("pairs_counted", "bound", lambda f: lambda *, q, N: f(q=q, N=N * (N - 1) // 2), "pairs of actions for actions"),
    ],
    source=Source("derived", proof=_PROOF),
    title="dense needles are found by luck",
    plain="Among K random sign vectors, with all rewards 0 but the needle's, no learner is within the gap of eps (1 + 1/mu) after q "
    "queries more often than (q + 1) / K.",
    tex=r"\mathbb{P}(\text{suboptimality}<\varepsilon(1+1/\mu))\le\frac{q+1}{K}",
)
def dense_needle_found(inst: Instance, rng: np.random.Generator, impl: Any) -> bool:
    """Return whether the recommended action is a needle that was drawn for this trial."""
    instance = needles("signs", *inst.sizes)
    world = impl.world(instance, int(rng.integers(instance.n_actions)), 0.0, rng)
    return bool(impl.search(world, made(impl.learner, instance, seed=int(rng.integers(2**31))), inst.q) < instance.gap)


def _halved(make: Callable[..., NeedleInstance]) -> Callable[..., NeedleInstance]:
    """State half of the coherence."""

    def wrong(*args: Any, **options: Any) -> NeedleInstance:
        right = make(*args, **options)
        return replace(right, coherence=right.coherence / 2)

    return wrong


@cat.identity(
    "MB-17a",
    budget=FloatBudget(k=lambda inst, out: inst.d + 8, why="d products and sums of rounded roots, one product, one quotient"),
    impl={"make": make_jl_needle, "ratio": jl_gap_ratio},
    families=[
        Family("signs", grid=({"K": 30, "d": 12}, {"K": 100, "d": 50})),
        Family("few_columns", grid=({"K": 9, "d": 4}, {"K": 20, "d": 2}, {"K": 3, "d": 1}), role="adversarial"),
    ],
    budgets=few(3, 20, 100),
    mutants=[
        Mutant("half_the_coherence", "impl", {"make": _halved}, "the coherence is that of other vectors", part="signs(K=30,d=12)"),
        Mutant(
            "needle_without_error",
            "impl",
            {"ratio": lambda f: lambda *, coherence: 1.0 / coherence},
            "the error at the needle itself is forgotten",
            part="signs(K=30,d=12)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the dense world is what it says",
    plain="The largest error over all needles and actions is the coherence times the length of the linear part, exactly eps, and the gap "
    "is eps (1 + 1 / mu).",
    tex=r"\varepsilon=\Delta\mu,\qquad\text{gap}=\varepsilon(1+1/\mu)",
)
def measures_of_dense_needles(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the largest error, the coherence and the gap over eps beside what the instance says."""
    instance = impl.make(inst.K, inst.d, random_state=rng)
    products = instance.X @ instance.X.T
    rewards = instance.peak * np.eye(inst.K)
    largest = float(np.max(np.abs(rewards - instance.scale * products)))
    mu = float(np.max(np.abs(products - np.diag(np.diag(products)))))
    return Outcome(
        np.array([largest, mu, instance.gap / instance.eps]),
        np.array([instance.eps, float(instance.coherence), impl.ratio(coherence=float(instance.coherence))]),
    )


@cat.tail(
    "MB-17b",
    bound=coherence_bound,
    params=("K", "d", "delta"),
    levels=(0.5, 0.2, 0.05),
    impl={"make": make_jl_needle},
    families=[
        Family("typical", grid=({"K": 40, "d": 100},)),
        Family("few_signs", grid=({"K": 12, "d": 9}, {"K": 2, "d": 16}), role="adversarial"),
    ],
    mutants=[
        Mutant(
            "vectors_for_pairs",
            "bound",
            lambda f: lambda *, K, d, delta: math.sqrt(2.0 * math.log(K / delta) / d),
            "a union over vectors in place of pairs",
            part="typical(*@0.5",
        ),
        Mutant("one_sided_half", "bound", lambda f: lambda *, K, d, delta: math.sqrt(math.log(K * (K - 1) / delta) / d), "variance 1/2"),
        Mutant("delta_swapped", "bound", lambda f: lambda *, K, d, delta: f(K=K, d=d, delta=1.0 - delta / 2.0), "1 - delta for delta"),
    ],
    source=Source("derived", proof=_PROOF),
    title="coherence of random signs",
    plain="The coherence of K random sign vectors exceeds sqrt(2 ln(K (K - 1) / delta) / d) with probability at most delta, so that "
    "vectors within it exist.",
    tex=r"\mathbb{P}\Bigl(\mu>\sqrt{\tfrac2d\ln\tfrac{K(K-1)}{\delta}}\Bigr)\le\delta",
)
def coherence_of_signs(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the coherence of fresh vectors."""
    return float(impl.make(inst.K, inst.d, needle=0, random_state=rng).coherence)
