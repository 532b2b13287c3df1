r"""Merge and reduce: a stream of rows kept as a logarithmic number of weighted samples.

Rows gather in a leaf. A full leaf is reduced to about `size` weighted rows; two samples of the same level are put one below the other and
reduced again, like the carries of a binary counter. At every reduction a row that survives has its weight divided by its probability, so
every weighted sum keeps its expectation however deep the tree is. The random number of a row depends on the seed, on its index in the
stream and on the level: on nothing else, so that the blocks in which rows arrive do not matter.

A state is a value: `Stream.push` and `Stream.merge` return a new one and leave the old one as it was, whatever happens meanwhile.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.validation import check_finite_rows, is_sparse
from algos.lp_embeddings._buckets import Bucket, Plan
from algos.lp_embeddings._reduction import reduce_bucket

__all__ = ["Bucket", "Plan", "Stream", "joined_ranges", "reduce_bucket"]

FloatArray = npt.NDArray[np.float64]
Reduce = Callable[..., Bucket]

TREE_LEVELS = 2**32  # levels of the tree's random numbers; below are those of samples of whole tables, which may enter a tree
FINAL_LEVEL = 2**63  # the reduction that makes a result is drawn apart: its rows do not go on in the tree
FAILURE = 0.1  # what the statements about all reductions of a stream may fail with together


@dataclass(frozen=True, eq=False)
class Stream:
    """All that is kept of the rows seen so far.

    Attributes
    ----------
    plan : Plan
        How rows are reduced.
    buckets : tuple of Bucket
        Samples, at most one of each level.
    waiting : tuple of Bucket
        Rows of the leaf that is not full yet.
    ranges : tuple of (int, int)
        Disjoint ranges of row numbers that have been seen, increasing.
    reductions : int
        Reductions so far.
    risk : float
        Sum of the failure probabilities of the proved factors.
    reduce : callable
        `reduce_bucket`; another one for experiments.
    """

    plan: Plan
    buckets: tuple[Bucket, ...] = ()
    waiting: tuple[Bucket, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()
    reductions: int = 0
    risk: float = 0.0
    reduce: Reduce = field(default=reduce_bucket, repr=False)

    @property
    def n_seen(self) -> int:
        """Rows seen."""
        return sum(stop - start for start, stop in self.ranges)

    @property
    def n_stored(self) -> int:
        """Rows held in memory."""
        return sum(len(bucket) for bucket in (*self.buckets, *self.waiting))

    @property
    def is_sparse(self) -> bool:
        """Whether its rows are sparse; some must have been seen."""
        return is_sparse((*self.buckets, *self.waiting)[0].table)

    def push(self, table: Any, *, start: int, weights: FloatArray | None = None) -> "Stream":
        """Return the state after the rows of a table, numbered from `start`; full leaves are reduced without being copied."""
        block = Bucket.fresh(table, start, weights)
        state = replace(self, ranges=joined_ranges(self.ranges, ((start, start + len(block)),)))
        return state._gather(block)

    def merge(self, other: "Stream") -> "Stream":
        """Return the state that stands for the rows of both; which of the two is asked makes no difference if their seeds agree."""
        state = replace(
            self,
            ranges=joined_ranges(self.ranges, other.ranges),
            reductions=self.reductions + other.reductions,
            risk=self.risk + other.risk,
            waiting=(),
        )._carry([*self.buckets, *other.buckets])
        pieces = [piece for piece in (*self.waiting, *other.waiting) if len(piece)]
        return state._gather(Bucket.stack(pieces)) if pieces else state

    def summary(self) -> tuple[Bucket, float]:
        """Return one sample of about `size` rows for all rows seen, and the failure probability of its proved factors."""
        parts = [*self.buckets, *self.waiting]
        if len(self.buckets) == 1 and not self.waiting:
            return self.buckets[0], self.risk
        if not any(len(part) for part in parts):
            return replace(parts[0], total_bounds=(0.0, 0.0)), self.risk
        delta = self._delta()
        return self.reduce(Bucket.stack(parts), self.plan, level=FINAL_LEVEL, delta=delta), self.risk + delta

    def _gather(self, block: Bucket) -> "Stream":
        """Fill the leaf, reduce it whenever it is full, and copy what is left over."""
        state, leaf = self, self.plan.leaf
        while (room := leaf - sum(len(piece) for piece in state.waiting)) <= len(block):
            full = Bucket.stack([*state.waiting, block.take(slice(0, room))])
            state, bucket = replace(state, waiting=())._reduced(full)
            state = state._carry([*state.buckets, bucket])
            block = block.take(slice(room, None))
        if not len(block):
            return state
        _check_finite(block.table)  # scores would find a NaN only when the leaf is full
        pieces = [*state.waiting, block.copy()]
        while len(pieces) > 1 and len(pieces[-2]) <= len(pieces[-1]):  # rows are copied a logarithmic number of times
            pieces[-2:] = [Bucket.stack(pieces[-2:])]
        return replace(state, waiting=tuple(pieces))

    def _carry(self, buckets: list[Bucket]) -> "Stream":
        """Merge buckets of equal level, lowest level and earliest rows first, until all levels differ."""
        state, left = self, sorted(buckets, key=_position)
        done: list[Bucket] = []
        while left:
            bucket = left.pop(0)
            if not left or left[0].level > bucket.level:
                done.append(bucket)
                continue
            pair = bucket, left.pop(0)
            full = [part for part in pair if len(part)]
            if len(full) < 2:  # a part of the stream that had only zeros
                merged = replace((full or pair)[0], level=bucket.level + 1)
            else:
                state, merged = state._reduced(Bucket.stack(full))
            left = sorted([*left, merged], key=_position)
        return replace(state, buckets=tuple(done))

    def _reduced(self, stack: Bucket) -> tuple["Stream", Bucket]:
        if stack.level and len(stack) <= self.plan.size:  # nothing to draw
            return self, replace(stack, level=stack.level + 1)
        delta = self._delta()
        bucket = self.reduce(stack, self.plan, level=TREE_LEVELS + stack.level, delta=delta)
        return replace(self, reductions=self.reductions + 1, risk=self.risk + delta), bucket

    def _delta(self) -> float:
        """Failure probability of the next reduction: a series with the sum `FAILURE`, so that the length of the stream is free."""
        if self.plan.p == 2.0:
            return 0.0
        return FAILURE * 6.0 / (math.pi * (self.reductions + 1)) ** 2

    def to_state(self) -> dict[str, Any]:
        """Return the content in types that `save_state` writes."""
        return {
            "seed": self.plan.seed,
            "buckets": [bucket.to_state() for bucket in self.buckets],
            "waiting": [bucket.to_state() for bucket in self.waiting],
            "ranges": [list(pair) for pair in self.ranges],
            "reductions": self.reductions,
            "risk": self.risk,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], plan: Plan) -> "Stream":
        """Rebuild a stream from `to_state`."""
        buckets, waiting = (tuple(map(Bucket.from_state, state[name])) for name in ("buckets", "waiting"))
        return cls(plan, buckets, waiting, tuple((start, stop) for start, stop in state["ranges"]), state["reductions"], state["risk"])


def _check_finite(table: Any) -> None:
    check_finite_rows(table.data.reshape(-1, 1) if is_sparse(table) else table, name="X")


def _position(bucket: Bucket) -> tuple[int, float]:
    return bucket.level, bucket.first


def joined_ranges(left: Iterable[tuple[int, int]], right: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the union of disjoint ranges, neighbours put together.

    Raises
    ------
    ValueError
        Two ranges have a number in common.

    Examples
    --------
    >>> joined_ranges([(0, 10)], [(20, 30), (10, 15)])
    ((0, 15), (20, 30))
    """
    union: list[tuple[int, int]] = []
    for start, stop in sorted([*left, *right]):
        if union and start < union[-1][1]:
            raise ValueError(
                f"rows {start} to {min(stop, union[-1][1]) - 1} were seen by both; a row must be counted once: "
                "give every worker the number of its first row as start="
            )
        if union and start == union[-1][1]:
            union[-1] = union[-1][0], stop
        else:
            union.append((start, stop))
    return tuple(union)
