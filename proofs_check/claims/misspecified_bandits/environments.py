"""Claims about needles: nobody finds them but by luck, luck is what can be computed, and an oracle that resists leaves none."""

from fractions import Fraction
from typing import Any

import numpy as np

from algos.misspecified_bandits import LinearBanditEnv, NeedleInstance, ResistingOracle, run, transcript_success
from algos.misspecified_bandits.bounds import needle_success_curve
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.misspecified_bandits import _needle_worlds as worlds
from proofs_check.claims.misspecified_bandits._needle_worlds import RATIONAL, exact_success, hidden, made, needles, subjects
from proofs_check.claims.misspecified_bandits._problems import few

cat = Catalogue("misspecified_bandits/environments")

_PROOF = "docs/theory/misspecified_bandits.md, Needles"
_SEARCHERS = ("in_order", "at_random", "hulls", "covers", "elimination", "version_space", "linucb", "recovery", "unseen_guess")

# --- by luck --------------------------------------------------------------------------------------------------------------------------


def _world_of(inst: Instance) -> NeedleInstance:
    return needles(inst.world, *inst.sizes)


_POLYNOMIALS = {"world": "polynomials", "sizes": (2, 5, 1), "N": 25}
_EQUAL = {"world": "equal", "sizes": (20,), "N": 20}


@cat.lower(
    "MB-11",
    bound=needle_success_curve,
    subjects=subjects(*_SEARCHERS, cheater=True, world=hidden),
    families=[
        Family("exact", grid=({**_POLYNOMIALS, "q": 6, "sigma": 0.0},), role="adversarial"),
        Family("noisy", grid=({"world": "polynomials", "sizes": (2, 3, 1), "N": 9, "q": 3, "sigma": 0.25},), role="adversarial"),
    ],
    trials={"quick": 64, "full": 2048, "nightly": 65_536},
    mutants=[
        Mutant(
            "told_the_answer", "impl", {"search": worlds.peeking}, "the learner reads the world", part="at_random:exact(world=polynomials,*"
        ),
        Mutant(
            "neighbours_differ",
            "impl",
            {"world": worlds.linear},
            "rewards of actions that share features with the needle are larger than those of others",
            part="linucb:exact(world=polynomials,*",
        ),
        Mutant(
            "needle_by_habit",
            "impl",
            {"world": worlds.early},
            "the needle is always among the first five actions",
            part="in_order:exact(world=polynomials,*",
        ),
        Mutant(
            "batches_counted_as_queries",
            "impl",
            {"search": worlds.thrice_the_budget},
            "three answers for every query that is counted",
            part="at_random:exact(world=polynomials,*",
        ),
        Mutant(
            "twice_the_exponent",
            "bound",
            lambda f: lambda *, q, N: f(q=q, N=N * N),
            "the number of actions is squared",
            part="unseen_guess:exact(world=polynomials,*",
        ),
    ],
    companions=("MB-11b",),
    source=Source("derived", proof=_PROOF),
    title="needles are found by luck",
    plain="With a needle drawn uniformly among N actions, no learner of the package has a suboptimality below the gap after q pulls, exact "
    "or noisy, more often than (q + 1) / N; one that reads the world is caught.",
    tex=r"\mathbb{P}(\text{suboptimality}<\text{gap})\le\frac{q+1}{N}",
)
def needle_found(inst: Instance, rng: np.random.Generator, impl: Any) -> bool:
    """Return whether the recommended action is a needle that was drawn for this trial."""
    instance = _world_of(inst)
    world = impl.world(instance, int(rng.integers(instance.n_actions)), inst.sigma, rng)
    learner = made(impl.learner, instance, seed=int(rng.integers(2**31)), sigma=inst.sigma)
    return bool(impl.search(world, learner, inst.q) < instance.gap)


def _success(*, q: int, N: int) -> Fraction:
    """Return the chance of a learner that wastes nothing."""
    return min(Fraction(1), Fraction(q + 1, N))


def _queries(world: dict[str, Any], *numbers: int) -> tuple[dict[str, Any], ...]:
    return tuple({**world, "q": q} for q in numbers)


@cat.identity(
    "MB-11a",
    bound=_success,
    budget=RATIONAL,
    impl={"learner": worlds.UnseenGuess, "search": worlds.searched, "world": hidden},
    families=[
        Family("polynomials", grid=_queries(_POLYNOMIALS, 2, 6, 23, 24), role="enumeration"),
        Family("equal", grid=_queries(_EQUAL, 4, 18, 19, 20), role="enumeration"),
    ],
    budgets=few(2, 20, 100),
    mutants=[
        Mutant("queries_twice", "impl", {"learner": worlds.querying_twice}, "the learner repeats queries", part="polynomials(*q=6)"),
        Mutant("guess_wasted", "impl", {"learner": worlds.guessing_what_it_saw}, "the guess is an action already seen", part="equal(*q=4)"),
        Mutant("stops_early", "impl", {"search": worlds.half_the_budget}, "half of the queries are left", part="polynomials(*q=6)"),
        Mutant("guess_not_counted", "bound", lambda f: lambda *, q, N: Fraction(q, N), "no guess when nothing was seen"),
        Mutant("independent_draws", "bound", lambda f: lambda *, q, N: 1 - Fraction(N - 1, N) ** (q + 1), "queries drawn with replacement"),
    ],
    source=Source("derived", proof=_PROOF),
    title="the bound on luck is attained",
    plain="A learner that repeats no query, stops at the needle and otherwise guesses an action that it has not seen finds exactly q + 1 "
    "of the N needles: all needles are tried, in rational numbers.",
    tex=r"\frac{\#\{i:\text{needle }i\text{ is found}\}}{N}=\frac{q+1}{N}",
)
def share_of_needles_found(inst: Instance, rng: np.random.Generator, impl: Any) -> Fraction:
    """Return the share of the needles that the learner finds."""
    return exact_success(impl, _world_of(inst), inst.q, int(rng.integers(2**31)))


# --- from one run ---------------------------------------------------------------------------------------------------------------------


def _chance(learner: Any, instance: NeedleInstance, q: int) -> Fraction:
    return transcript_success(learner, instance, budget=q).success


@cat.identity(
    "MB-11b",
    budget=RATIONAL,
    subjects=subjects(
        "in_order",
        "at_random",
        "hulls",
        "covers",
        "elimination",
        "version_space",
        "linucb",
        "exact_linucb",
        "unseen_guess",
        world=hidden,
        chance=_chance,
    ),
    families=[
        Family("polynomials", grid=_queries(_POLYNOMIALS, 5, 12), role="enumeration"),
        Family("equal", grid=_queries(_EQUAL, 7), role="enumeration"),
    ],
    budgets=few(1, 10, 50),
    mutants=[
        Mutant(
            "neighbours_differ",
            "impl",
            {"world": worlds.linear},
            "answers before the hit depend on where the needle is",
            part="linucb:polynomials(*q=5)",
        ),
        Mutant(
            "guess_always_counts",
            "impl",
            {"chance": lambda f: lambda learner, instance, q: transcript_success(learner, instance, budget=q).bound},
            "the recommendation is counted although it was queried",
            part="at_random:polynomials(*q=5)",
        ),
        Mutant(
            "guess_never_counts",
            "impl",
            {
                "chance": lambda f: (
                    lambda learner, instance, q: Fraction(transcript_success(learner, instance, budget=q).n_distinct, instance.n_actions)
                )
            },
            "the recommendation is not counted although it was not queried",
            part="unseen_guess:polynomials(*q=5)",
        ),
        Mutant(
            "repeats_counted",
            "impl",
            lambda impl: {
                **impl,
                "learner": worlds.querying_twice(impl["learner"]),
                "chance": lambda learner, instance, q: transcript_success(learner, instance, budget=q).bound,
            },
            "pulls are counted in place of different actions",
            part="unseen_guess:polynomials(*q=12)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="one run tells the chance",
    plain="A single run on answers without a needle gives the share of all needles that a learner finds, in rational numbers, for every "
    "learner of the package that recommends the best action it has seen.",
)
def chance_from_one_run(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the share over all needles beside that of the transcript."""
    instance, seed = _world_of(inst), int(rng.integers(2**31))
    found = exact_success(impl, instance, inst.q, seed)
    return Outcome(found, impl.chance(made(impl.learner, instance, seed=seed), instance, inst.q))


# --- the oracle that resists ----------------------------------------------------------------------------------------------------------


def _resisting(instance: NeedleInstance) -> ResistingOracle:
    return instance.oracle()


_EXACT = FloatBudget(k=1, scale=5e-324, why="rewards are multiples of 1/4, queries are counted: nothing rounds")


@cat.identity(
    "MB-11c",
    budget=_EXACT,
    subjects=subjects(*_SEARCHERS, oracle=_resisting),
    families=[
        Family("polynomials", grid=_queries(_POLYNOMIALS, 1, 23), role="adversarial"),
        Family("equal", grid=_queries(_EQUAL, 18), role="adversarial"),
    ],
    budgets=few(1, 10, 100),
    mutants=[
        Mutant(
            "needle_fixed_before",
            "impl",
            {"oracle": worlds.oracle_of(worlds.FixedOracle)},
            "the needle does not depend on what was asked",
            part="in_order:polynomials(*q=23)",
        ),
        Mutant(
            "recommendation_ignored",
            "impl",
            {"oracle": worlds.oracle_of(worlds.DeafOracle)},
            "the needle may be the action that the learner guesses",
            part="unseen_guess:polynomials(*q=23)",
        ),
        Mutant(
            "answers_differ",
            "impl",
            {"oracle": worlds.oracle_of(worlds.TalkativeOracle)},
            "answers are not those of the world that is decided for",
            part="linucb:polynomials(*q=23)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="an oracle that resists",
    plain="With q <= N - 2 queries every learner with fixed coins ends a whole gap below the best action, and does the same again in the "
    "world that the oracle decides for: the same queries, the same answers, the same failure.",
)
def failure_against_the_oracle(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the suboptimality before the oracle and in its world, and how many queries and answers differ."""
    instance, seed = _world_of(inst), int(rng.integers(2**31))
    oracle = impl.oracle(instance)
    first = run(oracle, made(impl.learner, instance, seed=seed), budget=inst.q, look_every=2**40)
    resisted = oracle.finish(int(first.recommended[-1]))
    theta = instance.with_needle(0 if resisted.needle is None else resisted.needle).theta
    world = LinearBanditEnv(instance.X, resisted.mean, eps=instance.eps, theta=theta)
    second = run(world, made(impl.learner, instance, seed=seed), budget=inst.q, look_every=2**40)
    same = len(first.queries) == len(second.queries) and np.array_equal(first.queries, second.queries)
    other_answers = 0.0 if same and np.array_equal(first.rewards, second.rewards) else 1.0
    return Outcome(np.array([first.final, second.final, other_answers]), np.array([instance.gap, instance.gap, 0.0]))


# --- the instance ---------------------------------------------------------------------------------------------------------------------


@cat.identity(
    "MB-11d",
    budget=FloatBudget(
        k=lambda inst, out: 2 * inst.s + 8,
        why="s products of two rounded roots, their sum, one product with the length and one difference",
    ),
    impl={"make": needles},
    families=[
        Family(
            "all_needles",
            grid=tuple({"s": s, "p": p, "t": t} for s, p, t in ((2, 5, 1), (3, 5, 2), (5, 7, 1), (3, 3, 2), (4, 5, 2), (3, 31, 0))),
            role="enumeration",
        )
    ],
    budgets=few(1, 1, 1),
    mutants=[
        Mutant("not_centred", "impl", {"make": worlds.without_centre}, "rewards are 0, not half way: the error is twice what is stated"),
        Mutant("needle_without_error", "impl", {"make": worlds.flat_peak}, "the needle is lower by the error of the others"),
        Mutant("one_degree_more", "impl", {"make": worlds.another_degree}, "polynomials agree in one place more"),
    ],
    source=Source("derived", proof=_PROOF),
    title="the needle's world is what it says",
    plain="For every needle: unit rows, inner products of at most t / s and this attained, a largest error of exactly eps, eps = gap t / "
    "(2 s), and so a gap of 2 eps s / t; with t = 0 no error at all.",
    tex=r"\max_a\lvert\nu(a)\rvert=\varepsilon=\frac{\Delta t}{2s}",
)
def measures_of_the_instance(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return lengths, coherence, errors and the gap, over the scale, beside their formulas."""
    s, p, t = inst.s, inst.p, inst.t
    instance = impl.make("polynomials", s, p, t)
    products = instance.X @ instance.X.T
    rewards = instance.background + (instance.peak - instance.background) * np.eye(instance.n_actions)  # one row per needle
    error = np.max(np.abs(rewards - instance.scale * products), axis=1)
    apart = products - np.diag(np.diag(products))
    measured = [np.diag(products).min(), np.diag(products).max(), apart.max(), error.min(), error.max(), instance.gap, instance.eps]
    half = t / (2 * s)
    return Outcome(
        np.array([*measured, float(instance.n_actions)]) / np.array([1.0] * 7 + [p ** (t + 1)]),
        np.array([1.0, 1.0, t / s, half, half, 1.0, half, 1.0]),
    )
