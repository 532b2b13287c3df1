"""Claims about samples as embeddings: rows that are necessary, and an instance that defeats plain sensitivities."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings.distortion import distortion
from algos.lp_embeddings.importance import recursive_root_leverage, row_scores
from algos.lp_embeddings.samplers import RowSample, inclusion_probabilities, l2_augmented, root_leverage, sample_rows
from proofs_check import Budget, Catalogue, Family, FloatBudget, Instance, Margin, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import few_trials

cat = Catalogue("lp_embeddings/embeddings")

FloatArray = npt.NDArray[np.float64]
Sample = Callable[..., RowSample]


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))


# --- rows that are necessary --------------------------------------------------------------------------------------------------------------

_ORIGINS = ("lewis", "sensitivity", "l2_augmented", "root_leverage", "uniform")


def _two_basis(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = instances.two_basis(point["d"], 4, point["p"])
    scores = row_scores(made.A, point["p"], point.get("sampler", "uniform")).scores
    return Instance({"total_sensitivity": made.total_sensitivity, **point}, {"A": made.A, "scores": scores})


def _drawn(scores: FloatArray, m: int, seed: int) -> RowSample:
    return sample_rows(inclusion_probabilities(scores, m), method="fixed", seed=seed)


def _everything(sample: Sample) -> Sample:
    def wrong(scores: FloatArray, m: int, seed: int) -> RowSample:
        return RowSample(np.arange(len(scores)), np.ones(len(scores)))

    return wrong


@cat.inequality(
    "LP-12",
    sense=">=",
    budget=FloatBudget(k=64, why="a smallest ratio that is exactly zero is computed as a residual of at most 64 products"),
    impl={"sample": _drawn},
    families=[
        Family(
            "two_basis",
            _two_basis,
            grid=tuple({"sampler": s, "d": d, "p": p} for s in _ORIGINS for d, p in ((4, 1.0), (16, 1.5))),
            role="adversarial",
        )
    ],
    tight=0.999,
    trials={"quick": 2},
    companions=("LP-12a",),
    mutants=[
        Mutant(
            "returns_all_rows",
            "impl",
            {"sample": _everything},
            why="a sampler that keeps every row whatever size it is asked for",
            part="two_basis(sampler=lewis,d=4,p=1)",
        )
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, What sensitivity sampling needs"),
    title="fewer rows than columns embed nothing",
    plain="With fewer than d rows kept, the distortion is at least one, whatever scores the rows were drawn by.",
)
def distortion_of_too_few_rows(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the distortion of d - 1 draws beside one."""
    sample = impl.sample(inst.scores, inst.d - 1, _seed(rng))
    TA = inst.A[sample.indices] * sample.scale(inst.p)[:, None]
    return Outcome(distortion(inst.A, TA, inst.p, starts=1).lower, 1.0)


def _rank_reached(A: FloatArray, order: npt.NDArray[np.int64]) -> int:
    """Rows in this order until the rank is full."""
    basis = np.zeros((0, A.shape[1]))
    for count, row in enumerate(A[order], start=1):
        rest = row - basis.T @ (basis @ row)
        rest -= basis.T @ (basis @ rest)
        if np.linalg.norm(rest) > 1e-9 * np.linalg.norm(row):
            basis = np.vstack([basis, rest / np.linalg.norm(rest)])
        if len(basis) == A.shape[1]:
            return count
    raise AssertionError("the table has not full rank")


@cat.inequality(
    "LP-12a",
    bound=bounds.necessary_rows,
    sense=">=",
    budget=FloatBudget(k=16, scale=lambda inst, out: out.value, why="a quotient, a power and a product"),
    impl={"rows_until_full_rank": _rank_reached},
    families=[
        Family("copies", _two_basis, grid=tuple({"d": d, "p": p} for d in (4, 16, 64) for p in (1.0, 1.5))),
        Family("one_basis_first", _two_basis, grid=({"d": 256, "p": 1.0, "first": True},), role="adversarial"),
    ],
    tight=0.85,
    trials={"quick": 1},
    mutants=[
        Mutant(
            "half_forgotten",
            "bound",
            lambda f: lambda *, total_sensitivity, p: f(total_sensitivity=2.0 * total_sensitivity, p=p),
            why="S^(2/p) without the factor that the two bases cost",
            part="one_basis_first*",
        ),
        Mutant(
            "exponent_two",
            "bound",
            lambda f: lambda *, total_sensitivity, p: f(total_sensitivity=total_sensitivity, p=1.0),
            why="the exponent of p = 1 used for every p",
            part="copies(d=64,p=1.5)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, What sensitivity sampling needs"),
    title="S^(2/p) rows are necessary",
    plain="On the two-basis matrix no sample has full rank before (S/2)^(2/p) rows are kept.",
    tex=r"m\ge d\ge\left(\frac S2\right)^{2/p}",
)
def rows_until_the_rank_is_full(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the number of rows after which the rank is full, in random order or the best one."""
    order = np.arange(0, len(inst.A), 4) if inst.params.get("first") else rng.permutation(len(inst.A))
    return float(impl.rows_until_full_rank(inst.A, order))


# --- the mixture --------------------------------------------------------------------------------------------------------------------------

_D1, _COPIES, _SPREAD = 64, 32, 32
_MIXTURE = instances.mixture_hard_instance(_D1, _COPIES, _SPREAD, 1.0)


def _mixture_scores(sampler: str) -> FloatArray:
    """Return the scores of the mixture in closed form: each block has scores of its own, alike within the block."""
    s, w = _MIXTURE.sensitivities, _MIXTURE.lewis_weights
    assert s is not None
    assert w is not None
    flat = np.arange(len(s)) < 2 * _D1 * _COPIES
    leverage = np.where(flat, _D1 / flat.sum(), _SPREAD / (~flat).sum())
    return {"sensitivity": s, "lewis": w, "l2_augmented": l2_augmented(s, leverage), "root_leverage": root_leverage(leverage, 1.0)}[sampler]


def _lost_directions(kept: npt.NDArray[np.int64]) -> int:
    """Dimension of the flat block minus the rank of its directions among the rows kept."""
    flat = kept[kept < 2 * _D1 * _COPIES]
    directions = np.unique(flat // _COPIES)
    return _D1 - int(np.linalg.matrix_rank(_MIXTURE.A[directions * _COPIES, :_D1])) if len(directions) else _D1


def _mixture(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    q = inclusion_probabilities(_mixture_scores("sensitivity"), point["m"])
    return Instance({"d1": _D1, "copies": _COPIES, "q": float(q[0]), **point})


@cat.expectation(
    "LP-14",
    bound=bounds.flat_block_loss,
    sense=">=",
    envelope=(0.0, 1.0),
    margin=Margin("add", 0.1, why="a tenth of all samples"),
    impl={"scores": _mixture_scores},
    families=[Family("mixture", _mixture, grid=({"m": 200}, {"m": 240}), role="adversarial")],
    block=32,
    companions=("LP-14a",),
    mutants=[
        Mutant(
            "lewis_weights",
            "impl",
            {"scores": lambda f: lambda sampler: f("lewis")},
            why="Lewis weights in place of sensitivities: the failure disappears",
            part="mixture(m=240)",
            killers=("LP-14",),
        ),
        Mutant(
            "half_of_the_copies",
            "bound",
            lambda f: lambda *, d1, copies, q: f(d1=d1, copies=copies // 2, q=q),
            why="a direction is taken to be lost although its rows of the second half were kept",
            part="mixture(m=240)",
            killers=("LP-14",),
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Augmented sensitivities"),
    title="sensitivities lose the flat block",
    plain="On the mixture, sensitivity sampling loses directions of the flat block at least as often as the binomial law says.",
    tex=r"P(\text{rank lost})\ge P\left(\mathrm{Bin}(2d_1,1-(1-q)^N)<d_1\right)",
)
def flat_block_lost(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return 1 if the flat block has lost rank."""
    q = inclusion_probabilities(impl.scores("sensitivity"), inst.m)
    return float(_lost_directions(sample_rows(q, seed=_seed(rng)).indices) > 0)


def _none(*, m: int) -> float:
    """Directions that may be lost."""
    return 0.0


def _draw_mixture(sampler: str, m: int, seed: int) -> npt.NDArray[np.int64]:
    if sampler == "recursive":
        return recursive_root_leverage(_MIXTURE.A, 1.0, m, seed=seed).indices
    return sample_rows(inclusion_probabilities(_mixture_scores(sampler), m), seed=seed).indices


@cat.tail(
    "LP-14a",
    bound=_none,
    levels=(0.1,),
    impl={"draw": _draw_mixture},
    families=[
        Family(
            "mixture",
            grid=tuple({"sampler": s, "m": 240} for s in ("lewis", "l2_augmented", "root_leverage", "recursive")),
            role="adversarial",
        )
    ],
    budgets=few_trials(16),
    mutants=[
        Mutant(
            "augmentation_forgotten",
            "impl",
            {"draw": lambda f: lambda sampler, m, seed: f("sensitivity", m, seed)},
            why="the leverage term of the augmented scores is left out",
            part="mixture(sampler=l2_augmented,m=240)@0.1",
        )
    ],
    source=Source("paper", reference="Munteanu, Omlor 2024, abstract, for the augmented scores; the instance and its size are ours"),
    title="augmented scores keep the flat block",
    plain="At 240 rows, where sensitivity sampling loses rank nine times in ten, samples by Lewis weights, augmented sensitivities and "
    "root leverage scores (in one round or several) keep the rank of the flat block at least nine times in ten.",
)
def directions_lost_by_other_scores(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the number of lost directions."""
    return float(_lost_directions(impl.draw(inst.sampler, inst.m, _seed(rng))))


# --- a distortion that is proved --------------------------------------------------------------------------------------------------------


def _column(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Take half of the rows of a column: all alike, or half of the norm in 25 rows."""
    light = point["rows"]
    A = np.r_[np.ones(light), np.full(25, light / 25.0)] if point["heavy"] else np.ones(light)
    return _shared(point, A[:, None], A / A.sum(), np.full(len(A), 0.5))


def _sampled_table(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = instances.two_basis(point["d"], 1500, point["p"])
    assert made.sensitivities is not None
    return _shared(point, made.A, made.sensitivities, inclusion_probabilities(made.sensitivities, point["rows"]))


def _shared(point: Mapping[str, Any], A: FloatArray, s: FloatArray, q: FloatArray) -> Instance:
    shares = s / q
    known = {"rank": A.shape[1], "share": float(shares.max()), "mean_share": float(shares.mean())}
    return Instance({**point, **known}, {"A": A, "q": q})


def _proved(*, p: float, rank: int, share: float, mean_share: float, delta: float) -> float:
    """Distortion by the largest share; the mean one is for the mistake of using it."""
    return bounds.proved_distortion(p=p, rank=rank, share=share, delta=delta)


def _without_variance(*, p: float, rank: int, share: float, mean_share: float, delta: float) -> float:
    """Keep the linear term of Bernstein's inequality only, on a net of fineness 1/100."""
    return float((2.0 / 3.0) * share * (rank * np.log(201.0) + np.log(2.0 / delta)))


@cat.tail(
    "LP-29",
    bound=_proved,
    levels=(0.5, 0.1),
    impl={"sample": lambda q, seed: sample_rows(q, seed=seed)},
    families=[
        Family(
            "column", _column, grid=({"p": 1.0, "rows": 2000, "heavy": False}, {"p": 1.0, "rows": 5000, "heavy": True}), role="adversarial"
        ),
        Family("two_basis", _sampled_table, grid=tuple({"p": p, "d": 2, "rows": 1500} for p in (1.0, 3.0))),
    ],
    budgets=few_trials(16),
    companions=("LP-29a",),
    mutants=[
        Mutant(
            "variance_forgotten",
            "bound",
            lambda f: _without_variance,
            why="only the linear term of Bernstein's inequality is kept",
            part="column(p=1,rows=2000,heavy=False)@0.5",
        ),
        Mutant(
            "mean_share",
            "bound",
            lambda f: lambda *, p, rank, share, mean_share, delta: f(p=p, rank=rank, share=mean_share, mean_share=mean_share, delta=delta),
            why="the mean of s/q is taken for the largest",
            part="column(p=1,rows=5000,heavy=True)@0.1",
        ),
        Mutant(
            "weights_forgotten",
            "impl",
            {"sample": lambda f: lambda q, seed: RowSample(f(q, seed).indices, np.ones(len(f(q, seed).indices)))},
            why="the rows are kept without their weights",
            part="two_basis(p=1,d=2,rows=1500)@0.1",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, A distortion that is proved"),
    title="a distortion with every constant",
    plain="The distortion that LpSubspaceEmbedding reports as proved holds with the stated probability.",
    tex=r"\alpha=\max_i\frac{s_i}{q_i},\quad\eta=\frac{\alpha\Lambda}3+\sqrt{\frac{\alpha^2\Lambda^2}9+2\alpha\Lambda},\quad"
    r"\Lambda=d\ln\left(1+\frac2\gamma\right)+\ln\frac2\delta",
)
def distortion_below_the_proved_one(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the distortion of one sample; in one or two dimensions it is known."""
    sample = impl.sample(inst.q, _seed(rng))
    found = distortion(inst.A, inst.A[sample.indices] * sample.scale(inst.p)[:, None], inst.p)
    return found.upper


_ALIKE, _OFF = (
    40,
    4.5,
)  # copies of each row, and how far a count may be from half of them: between two counts, so that rounding decides nothing


def _too_far(copies: int, off: float) -> float:
    """Probability that one of two fair counts is farther than ``off`` from its mean."""
    near = math.fsum(math.comb(copies, k) for k in range(copies + 1) if abs(k - copies / 2) < off) / 2.0**copies
    return 1.0 - near**2


def _copies(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = np.repeat(np.eye(2), point["copies"], axis=0)
    return Instance({"p": 1.0, **point}, {"A": A, "q": np.full(len(A), 0.5)})


@cat.tail(
    "LP-29a",
    bound=lambda *, copies: _OFF / (copies / 2.0),
    sense="==",
    levels=(_too_far(_ALIKE, _OFF),),
    impl={"sample": lambda q, seed: sample_rows(q, seed=seed)},
    families=[Family("copies", _copies, grid=({"copies": _ALIKE},), role="adversarial")],
    budgets={
        "quick": Budget(768, 64, slack_trials=64),
        "full": Budget(20_480, 64, slack_trials=64),
        "nightly": Budget(204_800, 64, slack_trials=64),
    },
    mutants=[
        Mutant(
            "one_number_for_all_columns",
            "impl",
            {"sample": lambda f: lambda q, seed: _mirrored(f(q[: len(q) // 2], seed), len(q) // 2)},
            why="blocks of a table are sampled with the same random numbers",
        ),
        Mutant(
            "root_weights",
            "impl",
            {"sample": lambda f: lambda q, seed: RowSample(f(q, seed).indices, np.sqrt(f(q, seed).weights))},
            why="row multipliers of p = 2 are returned for weights",
        ),
        Mutant("one_count", "bound", lambda f: lambda *, copies: f(copies=copies) - 2.0 / copies, why="a count less than may be missing"),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, A distortion that is proved"),
    title="the distortion of copies has its exact law",
    plain="For copies of two unit rows that are kept with probability one half, the distortion exceeds a threshold exactly as often as one "
    "of two binomial counts is that far from its mean.",
    tex=r"P(\varepsilon>t)=1-P\left(\lvert\mathrm{Bin}(40,\tfrac12)-20\rvert\le 20\,t\right)^2",
)
def distortion_of_copies(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the distortion of one sample."""
    return distortion_below_the_proved_one(inst, rng, impl)


def _mirrored(half: RowSample, n: int) -> RowSample:
    return RowSample(np.concatenate([half.indices, half.indices + n]), np.concatenate([half.weights, half.weights]))
