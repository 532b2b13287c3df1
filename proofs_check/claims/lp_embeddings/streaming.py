"""Claims about streams: blocks do not matter, sums keep their expectation through trees and merges, workers draw independently."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings.merge_reduce import TREE_LEVELS, Bucket, Plan, Stream, reduce_bucket
from algos.lp_embeddings.samplers import RowSample, sample_rows
from proofs_check import Catalogue, Family, FloatBudget, Instance, Margin, Mutant, Outcome, Source

cat = Catalogue("lp_embeddings/streaming")

FloatArray = npt.NDArray[np.float64]
Push = Callable[..., Stream]
Reduce = Callable[..., Bucket]

_NOTHING_ROUNDED = FloatBudget(k=1, why="the same numbers in the same order: nothing is rounded, the smallest budget there is")


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))


def _by_row(indices: npt.NDArray[np.int64], weights: FloatArray, n: int) -> FloatArray:
    result = np.zeros(n)
    result[indices] = weights
    return result


# --- blocks of one sample ---------------------------------------------------------------------------------------------------------------


def _long(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance(dict(point), {"q": rng.uniform(0.05, 1.0, point["n"])})


def _shifted(sample: RowSample, by: int) -> RowSample:
    return RowSample(sample.indices + by, sample.weights)


@cat.identity(
    "LP-24",
    budget=_NOTHING_ROUNDED,
    impl={"sample_rows": sample_rows},
    families=[
        Family(
            "blocks", _long, grid=tuple({"n": 2500, "block": b, "level": k} for b, k in ((1, 0), (37, 3), (1000, 0))), role="adversarial"
        )
    ],
    trials={"quick": 2},
    companions=("LP-24a", "LP-24b", "LP-24c"),
    mutants=[
        Mutant(
            "fresh_in_every_block",
            "impl",
            {"sample_rows": lambda f: lambda q, *, start=0, **k: _shifted(f(q, **k), start)},
            why="uniforms are counted from the start of each block",
            part="blocks(n=2500,block=37,level=3)",
            killers=("LP-24",),
        ),
        Mutant(
            "block_number_for_row_number",
            "impl",
            {
                "sample_rows": lambda f: (
                    lambda q, *, start=0, **k: _shifted(f(q, start=start // max(len(q), 1), **k), start - start // max(len(q), 1))
                )
            },
            why="the stream is advanced by the number of blocks, not of rows",
            part="blocks(n=2500,block=1000,level=0)",
            killers=("LP-24",),
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Streams"),
    title="the sample does not depend on blocks",
    plain="A table that arrives in blocks, in any order, gives the same sample with the same weights as the whole table.",
)
def sample_of_blocks(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return weights by row from blocks in random order, beside those of the whole table."""
    seed, n = _seed(rng), inst.n
    whole = impl.sample_rows(inst.q, seed=seed, level=inst.level)
    pieces = np.zeros(n)
    for start in rng.permutation(np.arange(0, n, inst.block)).tolist():
        part = impl.sample_rows(inst.q[start : start + inst.block], seed=seed, start=start, level=inst.level)
        pieces += _by_row(part.indices, part.weights, n)
    return Outcome(pieces, _by_row(whole.indices, whole.weights, n))


# --- blocks of a stream -----------------------------------------------------------------------------------------------------------------


def _stream(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    n = point["n"]
    rows = rng.standard_t(1.5, (n, 3)) * np.geomspace(1.0, 30.0, n)[:, None]
    return Instance(dict(point), {"rows": rows})


def _leaf_for_every_block(push: Push) -> Push:
    def wrong(stream: Stream, table: FloatArray, *, start: int) -> Stream:
        state = push(stream, table, start=start)
        if not state.waiting:
            return state
        rest = reduce_bucket(Bucket.stack(state.waiting), state.plan, level=TREE_LEVELS, delta=0.5)
        return replace(state, waiting=())._carry([*state.buckets, rest])

    return wrong


def _waiting_rows_behind_new_ones(push: Push) -> Push:
    def wrong(stream: Stream, table: FloatArray, *, start: int) -> Stream:
        kept = [bucket for bucket in stream.waiting if len(bucket)]
        state = push(replace(stream, waiting=()), table, start=start)
        return state._gather(Bucket.stack(kept)) if kept else state

    return wrong


@cat.identity(
    "LP-24a",
    budget=_NOTHING_ROUNDED,
    impl={"push": Stream.push},
    families=[
        Family("blocks", _stream, grid=tuple({"n": 1100, "block": b, "p": p} for b, p in ((1, 1.0), (37, 2.0), (1000, 3.0)))),
        Family("cuts", _stream, grid=({"n": 1100, "block": 0, "p": 1.5},), role="adversarial"),
    ],
    trials={"quick": 2},
    mutants=[
        Mutant(
            "leaf_for_every_block",
            "impl",
            {"push": _leaf_for_every_block},
            why="what is left of a block is reduced at once instead of waiting for the next block",
            part="blocks(n=1100,block=37,p=2)",
        ),
        Mutant(
            "waiting_rows_behind_new_ones",
            "impl",
            {"push": _waiting_rows_behind_new_ones},
            why="rows that wait are put behind the new block, so that leaves hold other rows",
            part="cuts*",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Streams"),
    title="the tree does not depend on blocks",
    plain="A stream gives the same rows with the same weights, bit for bit, in whatever blocks it comes.",
)
def tree_of_blocks(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the final weights by row from blocks, beside those of the stream in one piece."""
    n = inst.n
    plan = Plan(inst.p, 30.0, 150, "lewis", _seed(rng))
    cuts = np.arange(inst.block, n, inst.block) if inst.block else np.sort(rng.choice(np.arange(1, n), 12, replace=False))
    state = Stream(plan)
    for start, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), n], strict=True):
        state = impl.push(state, inst.rows[start:stop], start=start)
    pieces, whole = (one.summary()[0] for one in (state, Stream(plan).push(inst.rows, start=0)))
    return Outcome(_by_row(pieces.indices, pieces.weights, n), _by_row(whole.indices, whole.weights, n))


# --- expectation ------------------------------------------------------------------------------------------------------------------------

_LEAF, _SIZE, _ROWS = 8, 5.0, 16
_LARGEST = (1.0 + _LEAF / (_SIZE - 1.0)) * (1.0 + _ROWS / (_SIZE - 1.0))
"""No estimate exceeds this multiple of the truth: with scores in proportion to the terms, q >= min(1, (m - 1) s), so that a kept row counts
at most max(s, 1 / (m - 1)), and a reduction of k rows multiplies a sum by at most 1 + k / (m - 1)."""


def _one(*, n: int) -> float:
    """Mean ratio of an estimate to the truth."""
    return 1.0


def _uneven_column(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({"n": _ROWS, **point}, {"rows": np.exp(0.5 * rng.standard_normal((_ROWS, 1)))})


def _weights_not_multiplied(reduce: Reduce) -> Reduce:
    def wrong(stack: Bucket, plan: Plan, **options: Any) -> Bucket:
        drawn = reduce(stack, plan, **options)
        return replace(drawn, weights=drawn.weights / stack.weights[np.searchsorted(stack.indices, drawn.indices)])

    return wrong


def _one_level(reduce: Reduce) -> Reduce:
    return lambda stack, plan, *, level, delta: reduce(stack, plan, level=0, delta=delta)


def _waiting_rows_forgotten(merge: Callable[..., Stream]) -> Callable[..., Stream]:
    return lambda stream, other: merge(stream, replace(other, waiting=()))


@cat.expectation(
    "LP-24b",
    bound=_one,
    sense="==",
    envelope=(0.0, _LARGEST),
    margin=Margin("add", 0.4, why="less than one forgotten factor or worker changes"),
    impl={"reduce": reduce_bucket, "merge": Stream.merge},
    families=[Family("stream", _uneven_column, grid=({"workers": 1},)), Family("merged", _uneven_column, grid=({"workers": 2},))],
    mutants=[
        Mutant(
            "weights_not_multiplied",
            "impl",
            {"reduce": _weights_not_multiplied},
            why="weights of earlier reductions are forgotten in the next",
            part="stream(workers=1)",
        ),
        Mutant(
            "one_uniform_for_all_levels",
            "impl",
            {"reduce": _one_level},
            why="the level is not part of the key: a row that survives once survives again",
            part="stream(workers=1)",
        ),
        Mutant(
            "waiting_rows_forgotten",
            "impl",
            {"merge": _waiting_rows_forgotten},
            why="a merge takes the samples of the other state and not the rows that wait there",
            part="merged(workers=2)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Streams"),
    title="streams keep the expectation",
    plain="Through all levels of the tree, and through merges of workers, weighted sums keep their expectation.",
)
def norm_through_a_tree(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the estimate of the norm of one column in units of the norm."""
    plan = Plan(1.0, _SIZE, _LEAF, "root_leverage", _seed(rng))
    empty = Stream(plan, reduce=impl.reduce)
    if inst.workers == 1:
        state = empty.push(inst.rows, start=0)
    else:  # one row waits on the left, seven on the right: together they fill a leaf
        state = impl.merge(empty.push(inst.rows[:9], start=0), empty.push(inst.rows[9:], start=9))
    found = state.summary()[0]
    return float(found.weights @ np.abs(found.table[:, 0]) / np.abs(inst.rows).sum())


def _both_kept(*, share: float) -> float:
    """Probability that two rows of different leaves are both drawn."""
    return share**2


def _numbered_in_their_leaf(reduce: Reduce) -> Reduce:
    def wrong(stack: Bucket, plan: Plan, **options: Any) -> Bucket:
        first = stack.indices[0]
        drawn = reduce(replace(stack, indices=stack.indices - first), plan, **options)
        return replace(drawn, indices=drawn.indices + first)

    return wrong


@cat.expectation(
    "LP-24c",
    bound=_both_kept,
    sense="==",
    envelope=(0.0, 1.0),
    margin=Margin("add", 0.1, why="a tenth of all streams"),
    impl={"reduce": reduce_bucket},
    families=[Family("equal_rows", lambda rng, point: Instance(dict(point)), grid=tuple({"share": share} for share in (0.25, 0.5)))],
    mutants=[
        Mutant(
            "uniforms_per_block",
            "impl",
            {"reduce": _numbered_in_their_leaf},
            why="uniforms are counted from the first row of each leaf, so that rows at the same place live and die together",
            part="equal_rows(share=0.5)",
        )
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Streams"),
    title="workers draw independently",
    plain="Rows of different workers, or of different leaves, that share a seed and not their numbers are kept independently.",
)
def rows_of_two_workers(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return 1 if the first row of each of two workers is kept."""
    rows = np.ones((_LEAF, 1))
    empty = Stream(Plan(1.0, inst.share * _LEAF, _LEAF, "uniform", _seed(rng)), reduce=impl.reduce)
    kept = [empty.push(rows, start=start).buckets[0].indices for start in (0, _LEAF)]
    return float(0 in kept[0] and _LEAF in kept[1])


# --- distortion for p = 2 ---------------------------------------------------------------------------------------------------------------


def _few_columns(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    rows = rng.standard_t(2.0, (point["n"], 3))
    return Instance(dict(point), {"rows": rows})


def _last_factor_only(reduce: Reduce) -> Reduce:
    return lambda stack, plan, **options: reduce(replace(stack, low=1.0, high=1.0), plan, **options)


def _first_factor_wins(reduce: Reduce) -> Reduce:
    def wrong(stack: Bucket, plan: Plan, **options: Any) -> Bucket:
        drawn = reduce(stack, plan, **options)
        return drawn if stack.level == 0 else replace(drawn, low=stack.low, high=stack.high)

    return wrong


@cat.inequality(
    "LP-24d",
    budget=FloatBudget(k=300, why="two singular values of tables of at most 640 x 3 numbers; the claimed factors have 1e-5 to spare each"),
    impl={"reduce": reduce_bucket},
    families=[
        Family("stream", _few_columns, grid=({"n": 640},)),
        # two leaves, one merge and the last reduction: the composed factor is close to the true one
        Family("short", _few_columns, grid=({"n": 100},), role="adversarial"),
    ],
    trials={"quick": 40},
    mutants=[
        Mutant(
            "last_factor_only",
            "impl",
            {"reduce": _last_factor_only},
            why="the distortion of the last reduction is taken for that of the whole tree",
            part="stream(n=640)",
        ),
        Mutant(
            "first_factor_wins",
            "impl",
            {"reduce": _first_factor_wins},
            why="reductions of reduced rows do not count",
            part="stream(n=640)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Streams"),
    title="the computed distortion of a least squares coreset",
    plain="For p = 2 the coreset's norms are within the factors that the tree has multiplied up, in every direction.",
    tex=r"\prod_\ell(1-\varepsilon_\ell)\,\lVert Ax\rVert_2\le\lVert TAx\rVert_2\le\prod_\ell(1+\varepsilon_\ell)\,\lVert Ax\rVert_2",
)
def extreme_ratios_of_norms(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the largest ratio of norms and the reciprocal of the smallest, beside what the tree says."""
    state = Stream(Plan(2.0, 20.0, 40, "leverage", _seed(rng)), reduce=impl.reduce).push(inst.rows, start=0)
    found, _ = state.summary()
    R: Any = np.linalg.qr(inst.rows, mode="r")
    ratios = np.linalg.svd(np.linalg.solve(R.T, (found.table * np.sqrt(found.weights)[:, None]).T), compute_uv=False)
    smallest = float(ratios[-1]) if found.low > 0.0 else math.inf
    return Outcome(np.array([ratios[0], 1.0 / smallest]), np.array([found.high, 1.0 / found.low if found.low > 0.0 else math.inf]))
