"""What a coreset of a stream checks before it reduces, and what it says afterwards."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import _check_sample_weight

from algos.common.guarantees import Guarantee
from algos.common.linalg import whitening
from algos.common.validation import check_finite_rows, check_option, check_range, is_sparse
from algos.lp_embeddings import bounds
from algos.lp_embeddings._arguments import checked_exponent
from algos.lp_embeddings._buckets import Bucket, Plan
from algos.lp_embeddings._reduction import weighted_rows
from algos.lp_embeddings.importance import SAMPLERS
from algos.lp_embeddings.merge_reduce import Stream

__all__ = [
    "all_or_nothing",
    "check_alike",
    "checked_weights",
    "default_leaf",
    "explain_entries",
    "guarantee_of",
    "make_plan",
    "row_shape",
    "target_shape",
    "total_bounds_of",
    "warn_if_small",
]

FloatArray = npt.NDArray[np.float64]

_LEAF_RATIO, _LEAF_ROWS = 40, 2**16  # a leaf of 40 samples leaves few reductions; more than 2**16 rows buy no speed
_LEAST_RATIO = 4  # of leaf to size where samples are so large that 2**16 rows are few


def make_plan(p: Any, size: Any, leaf: Any, reduction: Any, seed: int) -> Plan:
    """Check the parameters of a coreset and put them together."""
    p = checked_exponent(p)
    size = check_range(size, name="size", low=1.0, high=np.inf, high_open=True)
    check_option(reduction, ("auto", *SAMPLERS), name="reduction")
    if p > 2.0 and reduction in ("root_leverage", "l2_augmented"):
        raise ValueError(f"reduction={reduction!r} covers 1 <= p <= 2, got p={p!r}; use 'lewis' or 'sensitivity'")
    if p < 2.0 and reduction == "leverage_sensitivity":
        raise ValueError(f"reduction='leverage_sensitivity' covers p >= 2, got p={p!r}; use 'lewis' or 'l2_augmented'")
    rows = default_leaf(size) if leaf is None else check_range(leaf, name="leaf", low=1, integer=True)
    if rows < size:
        raise ValueError(f"leaf={rows} is below size={size:g}: there would be nothing to reduce; give at least {int(np.ceil(size))}")
    return Plan(p, size, rows, reduction, seed)


def default_leaf(size: float) -> int:
    """Return the power of two that `leaf=None` means."""
    wanted = max(_LEAST_RATIO * size, min(_LEAF_RATIO * size, _LEAF_ROWS))
    return 1 << int(np.ceil(np.log2(wanted)))


def warn_if_small(size: float, columns: int) -> None:
    """Warn of a sample that has fewer rows than a table of full rank needs."""
    if size < columns:
        warnings.warn(
            f"size={size:g} is below the number of columns, {columns}: the sample cannot embed a table of full rank.",
            UserWarning,
            stacklevel=4,
        )


def checked_weights(sample_weight: Any, n: int) -> FloatArray | None:
    """Return row weights as float64; None stays None."""
    if sample_weight is None:
        return None
    return np.asarray(_check_sample_weight(sample_weight, np.empty((n, 0)), dtype=np.float64, ensure_non_negative=True))


def check_alike(left: Any, right: Any) -> None:
    """Raise ValueError if the rows of two coresets are not of one kind."""
    if left.n_features_in_ != right.n_features_in_:
        raise ValueError(f"{left.n_features_in_} columns here and {right.n_features_in_} in other; merge coresets of the same columns")
    names, theirs = (getattr(one, "feature_names_in_", None) for one in (left, right))
    if names is not None and theirs is not None and list(names) != list(theirs):
        raise ValueError(f"columns {list(names)} here and {list(theirs)} in other; bring them into the same order")
    shapes = left._target_shape, right._target_shape
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"responses of shape {row_shape(shapes[0])} here and {row_shape(shapes[1])} in other; give y to both or to neither"
        )
    if left._stream.is_sparse != right._stream.is_sparse:
        raise ValueError("one coreset holds sparse rows and the other dense ones; convert the rows of one of them")


def target_shape(y: Any) -> tuple[int, ...] | None:
    """Return the shape of one row's responses; None if there are none."""
    return None if y is None else tuple(np.asarray(y).shape[1:])


def row_shape(shape: tuple[int, ...] | None) -> str:
    """Return it in words."""
    return "none" if shape is None else str(shape)


def explain_entries(table: Any) -> None:
    """Raise ValueError if the table has a NaN or an infinite entry; dense rows are named."""
    check_finite_rows(table.data.reshape(-1, 1) if is_sparse(table) else table, name="X")


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """Undo whatever happened to the attributes of an estimator if the block fails or is interrupted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def total_bounds_of(stream: Stream, bucket: Bucket) -> tuple[float, float]:
    """Return bounds on the total sensitivity of all rows seen: those of the last reduction if it saw all of them, else by ranks."""
    nothing_reduced = not stream.buckets or (len(stream.buckets) == 1 and not stream.waiting and stream.reductions <= 1)
    if nothing_reduced and bucket.total_bounds is not None:
        low, high = bucket.total_bounds
        return min(low, high), high  # where both are exact, rounding may cross them
    p = stream.plan.p
    rank = whitening(weighted_rows(bucket.table, bucket.weights, p)).rank if len(bucket) else 0
    low = bounds.total_sensitivity_range(p=p, rank=rank)[0] if rank else 0.0  # rows that were dropped can only add directions
    return low, bounds.total_sensitivity_range(p=p, rank=int(bucket.table.shape[1]))[1]


def guarantee_of(bucket: Bucket, risk: float, plan: Plan) -> Guarantee:
    """Return what is proved about a sample whose factors are wrong with probability `risk` at most."""
    if bucket.lost:
        return Guarantee("none", reason="a reduction lost a direction, in which all norms are now zero; raise size")
    if bucket.low == bucket.high == 1.0:
        return Guarantee("isometry", 0.0, reason="all rows that are not zero are kept")
    value = max(bucket.high - 1.0, 1.0 - bucket.low)
    if not value < 1.0:
        reason = f"the proved distortion is not below 1 at size={plan.size:g} (reductions: {bucket.level})"
        return Guarantee("none", reason=f"{reason}; algos.lp_embeddings.distortion measures it where rows are still at hand")
    if plan.p == 2.0:
        return Guarantee("computed distortion", value, reason="singular values of every reduction, multiplied over the levels")
    chance = f"probability at least {1.0 - risk:g} over random_state, drawn independently of the rows"
    return Guarantee("proved distortion", value, (chance,), "Bernstein's inequality on a net for every reduction, multiplied over levels")
