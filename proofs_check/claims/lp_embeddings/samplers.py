"""Claims about samples of rows: what uniform sampling misses, unbiasedness with the exact variance."""

import itertools
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings.samplers import RowSample, inclusion_probabilities, sample_rows, uniform
from proofs_check import Catalogue, Family, FloatBudget, Instance, Margin, Mutant, Outcome, Source

cat = Catalogue("lp_embeddings/samplers")

FloatArray = npt.NDArray[np.float64]
Sampler = Callable[..., RowSample]


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))


# --- what uniform sampling misses -------------------------------------------------------------------------------------------------------

_DRAWS = (("bernoulli", 36, 2), ("bernoulli", 30, 1), ("bernoulli", 48, 3), ("with_replacement", 30, 1), ("with_replacement", 48, 2))
_N, _D = 60, 2  # rows and columns of the flat part; its rank is kept by any sample that matters here


def _lonely_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = instances.coherent(_N, _D, point["k"], 1.0, rng)
    return Instance({"n": _N, **point}, {"A": made.A})


def _uniform_sample(m: int, A: FloatArray, draw: str, seed: int) -> npt.NDArray[np.int64]:
    """Draw rows as the package does: equal scores, probabilities, sample."""
    q = inclusion_probabilities(uniform(A.shape[0]), m)
    return sample_rows(q, method="bernoulli" if draw == "bernoulli" else "fixed", seed=seed).indices


def _topped_up(sample: Callable[..., npt.NDArray[np.int64]]) -> Callable[..., npt.NDArray[np.int64]]:
    def wrong(m: int, A: FloatArray, draw: str, seed: int) -> npt.NDArray[np.int64]:
        lonely = np.flatnonzero(np.all(A[:, :_D] == 0.0, axis=1))
        return np.union1d(sample(m, A, draw, seed), lonely)

    return wrong


@cat.expectation(
    "LP-15",
    bound=bounds.uniform_miss_probability,
    sense="==",
    envelope=(0.0, 1.0),
    params=("n", "m", "k", "draw"),
    margin=Margin("add", 0.12, why="an eighth more or less of all samples"),
    impl={"sample": _uniform_sample},
    families=[
        Family(
            "lonely_rows",
            _lonely_rows,
            grid=tuple({"draw": draw, "m": m, "k": k} for draw, m, k in _DRAWS),
            role="adversarial",
        )
    ],
    companions=("LP-15a",),
    mutants=[
        Mutant(
            "tops_up",
            "impl",
            {"sample": _topped_up},
            why="the sampler silently adds the rows that would be missed",
            part="lonely_rows(draw=bernoulli,m=30,k=1)",
            killers=("LP-15",),
        ),
        Mutant(
            "one_row_enough",
            "bound",
            lambda f: lambda *, n, m, k, draw: f(n=n, m=m, k=1, draw=draw),
            why="as if one of the k rows were enough",
            part="lonely_rows(draw=bernoulli,m=48,k=3)",
        ),
        Mutant(
            "all_missed",
            "bound",
            lambda f: lambda *, n, m, k, draw: f(n=n, m=m, k=1, draw=draw) ** k,
            why="the probability that all k rows are missed instead of any",
            part="lonely_rows(draw=bernoulli,m=36,k=2)",
        ),
        Mutant(
            "replacement_ignored",
            "bound",
            lambda f: lambda *, n, m, k, draw: f(n=n, m=m, k=k, draw="bernoulli"),
            why="draws with replacement counted as if rows could not repeat",
            part="lonely_rows(draw=with_replacement,m=30,k=1)",
        ),
    ],
    source=Source("folklore"),
    title="what uniform sampling misses",
    plain="A uniform sample loses rank exactly as often as it misses one of the rows that alone carry a direction.",
    tex=r"P(\text{rank lost})=1-(m/n)^k",
)
def rank_lost_by_uniform_sampling(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return 1 if the sampled rows have lost rank."""
    kept = impl.sample(inst.m, inst.A, inst.draw, _seed(rng))
    return float(np.linalg.matrix_rank(inst.A[kept]) < inst.A.shape[1])


def _counted_miss(n: int, m: int, k: int, draw: str) -> Fraction:
    """Count the samples that miss a row below k, all of them listed."""
    wanted = set(range(k))
    if draw == "bernoulli":
        q = Fraction(m, n)
        sizes = (
            q ** len(s) * (1 - q) ** (n - len(s)) for r in range(n + 1) for s in itertools.combinations(range(n), r) if not wanted <= set(s)
        )
        return sum(sizes, Fraction(0))
    listed = itertools.combinations(range(n), m) if draw == "without_replacement" else itertools.product(range(n), repeat=m)
    missed = [not wanted <= set(s) for s in listed]
    return Fraction(sum(missed), len(missed))


@cat.identity(
    "LP-15a",
    bound=bounds.uniform_miss_probability,
    params=("n", "m", "k", "draw"),
    budget=FloatBudget(k=40, why="a logarithm and a sum of at most k <= 3 of them, an exponential"),
    impl={"count": _counted_miss},
    families=[
        Family(
            "all_samples",
            grid=tuple(
                {"n": n, "m": m, "k": k, "draw": draw}
                for n, m in ((5, 3), (7, 4))
                for k in (1, 2, 3)
                for draw in ("bernoulli", "with_replacement", "without_replacement")
            ),
            role="enumeration",
        )
    ],
    mutants=[
        Mutant(
            "independent_rows",
            "bound",
            lambda f: lambda *, n, m, k, draw: f(n=n, m=m, k=k, draw="bernoulli"),
            why="the power law of independent rows for draws without replacement",
            part="all_samples(n=7,m=4,k=2,draw=without_replacement)",
        )
    ],
    source=Source("folklore"),
    title="what uniform sampling misses, counted",
    plain="The probabilities of missing a row are right for all three ways of drawing, counted over all samples.",
)
def counted_misses(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the exact probability, as the nearest float."""
    return float(impl.count(inst.n, inst.m, inst.k, inst.draw))


# --- unbiased, with the exact variance --------------------------------------------------------------------------------------------------


def _terms(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    n = point["n"]
    A, x = rng.standard_t(1.5, (n, 3)), rng.standard_normal(3)
    scores = np.exp(4.0 * rng.standard_normal(n)) if point.get("uneven") else rng.exponential(size=n)
    return Instance(dict(point), {"products": A @ x, "scores": scores})


def _row_weights(sampler: Sampler, q: FloatArray, draw: str) -> dict[tuple[int, int], float]:
    """Ask the sampler, seed after seed, which weight each row gets when it is drawn, and drawn c times.

    With replacement, the number of times is not told: it is inferred from weights at equal steps.
    """
    seen: dict[tuple[int, int], float] = {}
    single: dict[int, float] = {}
    for seed in range(3000):
        indices, weights = sampler(q, method=draw, seed=seed)
        for i, weight in zip(indices.tolist(), weights.tolist(), strict=True):
            single[i] = min(weight, single.get(i, np.inf))
            seen[(i, max(1, round(weight / single[i])))] = weight
        if len(single) == len(q) and seed > 200:
            break
    assert len(single) == len(q)
    return {(i, c): c * single[i] for i in single for c in range(1, 5)} if draw == "fixed" else {(i, 1): single[i] for i in single}


def _squared_weights(sampler: Sampler) -> Sampler:
    def wrong(q: FloatArray, **options: Any) -> RowSample:
        drawn = sampler(q, **options)
        return RowSample(drawn.indices, drawn.weights**2)

    return wrong


def _weights_without_floor(sampler: Sampler) -> Sampler:
    def wrong(q: FloatArray, **options: Any) -> RowSample:
        drawn = sampler(q, **options)
        above = q[drawn.indices] - 1.0 / len(q)
        return RowSample(drawn.indices, 1.0 / np.where(q[drawn.indices] < 1.0, above, 1.0))

    return wrong


def _weights_without_size(sampler: Sampler) -> Sampler:
    def wrong(q: FloatArray, **options: Any) -> RowSample:
        drawn = sampler(q, **options)
        return RowSample(drawn.indices, drawn.weights * round(float(q.sum())))

    return wrong


@cat.identity(
    "LP-16",
    budget=FloatBudget(
        k=2**10 + 64,
        scale=lambda inst, out: np.abs(out.reference) + out.aux["square"],
        why="sums over at most 2^10 samples; the variance is a difference at the size of the mean square",
    ),
    impl={"sample_rows": sample_rows, "inclusion_probabilities": inclusion_probabilities},
    families=[
        Family("bernoulli", _terms, grid=tuple({"draw": "bernoulli", "n": 10, "m": 4, "p": p} for p in (1.0, 1.5, 4.0))),
        Family("fixed", _terms, grid=tuple({"draw": "fixed", "n": 4, "m": 3, "p": p} for p in (1.0, 4.0))),
        # some rows are certain, the others hang on the floor of their probability
        Family("uneven", _terms, grid=({"draw": "bernoulli", "n": 10, "m": 4, "p": 1.5, "uneven": True},), role="adversarial"),
    ],
    trials={"quick": 2},
    mutants=[
        Mutant(
            "weights_squared",
            "impl",
            {"sample_rows": _squared_weights},
            why="1/q^2 instead of 1/q",
            part="bernoulli(draw=bernoulli,n=10,m=4,p=1)",
        ),
        Mutant(
            "floor_not_in_weight",
            "impl",
            {"sample_rows": _weights_without_floor},
            why="rows are drawn with the floor 1/n in their probability, and weighted without it",
            part="bernoulli(draw=bernoulli,n=10,m=4,p=1)",
        ),
        Mutant(
            "sum_not_mean",
            "impl",
            {"sample_rows": _weights_without_size},
            why="the draws with replacement are added, not averaged",
            part="fixed(draw=fixed,n=4,m=3,p=1)",
        ),
    ],
    companions=("LP-16a",),
    source=Source("folklore"),
    title="samples estimate norms without bias",
    plain="The weighted sum over a sample has the norm's p-th power as its mean and the stated variance, summed over all samples.",
    tex=r"\mathbb{E}\sum_{i\in S}\frac{z_i}{q_i}=\lVert Ax\rVert_p^p,\qquad \operatorname{Var}=\sum_i\left(\frac1{q_i}-1\right)z_i^2",
)
def mean_and_variance_over_all_samples(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Enumerate the samples, with the weights that the sampler gives."""
    z = np.abs(inst.products) ** inst.p
    q = impl.inclusion_probabilities(inst.scores, inst.m)
    weights = _row_weights(impl.sample_rows, q, inst.draw)
    n = len(z)
    if inst.draw == "bernoulli":
        kept = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        chance = np.prod(np.where(kept, q, 1.0 - q), axis=1)
        estimates = kept @ np.array([weights[(i, 1)] * z[i] for i in range(n)])
        variance = bounds.bernoulli_variance(terms=z, q=q)
    else:
        draws = round(float(q.sum()))
        law = q / q.sum()
        listed = np.array(list(itertools.product(range(n), repeat=draws)))
        chance = law[listed].prod(axis=1)
        estimates = np.array([sum(weights[(i, c)] * z[i] for i, c in enumerate(np.bincount(row, minlength=n)) if c) for row in listed])
        variance = bounds.fixed_size_variance(terms=z, probabilities=law, m=draws)
    mean = float(chance @ estimates)
    spread = float(chance @ (estimates - mean) ** 2)
    exact = bounds.norm_power(products=inst.products, p=inst.p)
    square = float(chance @ estimates**2)
    return Outcome(np.array([mean, spread]), np.array([exact, variance]), aux={"square": np.array([abs(mean), square])})


def _probability(*, q: float) -> float:
    """Probability with which a row is in the sample."""
    return q


@cat.expectation(
    "LP-16a",
    bound=_probability,
    sense="==",
    envelope=(0.0, 1.0),
    margin=Margin("add", 0.1, why="a tenth of all samples"),
    impl={"sample_rows": sample_rows},
    families=[
        Family(
            "row",
            lambda rng, point: Instance(dict(point)),
            grid=tuple({"q": q, "draw": draw} for q in (0.2, 0.7) for draw in ("bernoulli", "systematic")),
        )
    ],
    mutants=[
        Mutant(
            "root_of_probability",
            "impl",
            {"sample_rows": lambda f: lambda q, **k: f(np.sqrt(q), **k)},
            why="the multiplier of rows taken for their probability",
            part="row(q=0.2,draw=bernoulli)",
        ),
        Mutant(
            "one_uniform_for_all",
            "impl",
            {"sample_rows": lambda f: lambda q, **k: f(np.full(len(q), q.mean()), **k)},
            why="every row is drawn with the average probability",
            part="row(q=0.2,draw=bernoulli)",
        ),
    ],
    source=Source("folklore"),
    title="rows are drawn with their probability",
    plain="A row is in the sample as often as its inclusion probability says, beside rows with other probabilities.",
)
def share_of_samples_with_the_row(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return 1 if the second of many rows is in the sample."""
    q = np.linspace(0.1, 0.9, 11)
    q[1] = inst.q
    return float(1 in impl.sample_rows(q, method=inst.draw, seed=_seed(rng)).indices)
