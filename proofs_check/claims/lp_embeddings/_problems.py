"""Problems and oracles that several topics share."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings import instances
from proofs_check import Budget, DatasetRef, Family, Instance, SearchSpace
from proofs_check.model import Tier

FloatArray = npt.NDArray[np.float64]

FLIGHTS = DatasetRef("flights", "experiments.data:load", extra="data", rows=327_346, licence="CC0")

TYPICAL = ("gaussian", "heavy_tailed", "legendre", "one_hot")
ADVERSARIAL = ("spiked", "vandermonde", "row_scales", "block_diagonal")


def random_table(rng: np.random.Generator, point: Mapping[str, Any], n: int = 60, d: int = 5) -> FloatArray:
    """Draw a table of one of the random families; the point names it and may give its shape."""
    return instances.RANDOM_FAMILIES[point["table"]](point.get("n", n), point.get("d", d), rng)


def unit_columns(A: FloatArray) -> FloatArray:
    """Scale the columns that are not zero to unit length and drop the others."""
    length = np.linalg.norm(A, axis=0)
    return np.asarray(A[:, length > 0.0] / length[length > 0.0])


def condition(A: FloatArray, rank: int) -> float:
    """Ratio of the first to the rank-th singular value of the table with unit columns."""
    values = np.linalg.svd(unit_columns(A), compute_uv=False)
    return float(values[0] / values[rank - 1])


def flights_table(params: Mapping[str, Any]) -> Family:
    """Make the family that holds the flights table alone, with the given parameters beside it."""

    def build(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
        return Instance(
            {key: value for key, value in point.items() if key != "dataset"}, {"A": point["dataset"].X, "b": point["dataset"].y}
        )

    return Family("flights", build, grid=(dict(params),), role="real", dataset=FLIGHTS)


def searched(
    decode: Callable[[FloatArray, Mapping[str, Any]], Instance],
    shapes: Callable[[Mapping[str, Any]], tuple[tuple[int, ...], ...]],
    grid: Sequence[Mapping[str, Any]],
) -> Family:
    """Make the family that an adversary searches: its vector lists the entries of small arrays, and random vectors are drawn as well."""

    def size(point: Mapping[str, Any]) -> int:
        return sum(math.prod(shape) for shape in shapes(point))

    def build(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
        while True:
            try:
                return decode(rng.standard_normal(size(point)), point)
            except ValueError:  # one draw in some thousands is refused
                continue

    return Family("searched", build, grid=tuple(grid), role="adversarial", search=SearchSpace(size, decode, shapes=shapes))


def small_table(x: FloatArray, point: Mapping[str, Any], largest: float = 1e6) -> FloatArray:
    """Read the first entries of a vector as a table of the point's size.

    Raises
    ------
    ValueError
        Columns are dependent up to rounding, or a row is nearly zero: what is computed from such a table is rounding.
    """
    n, d = point["n"], point["d"]
    A = x[: n * d].reshape(n, d).copy()
    size = np.max(np.abs(A))
    if not (1e-3 < size < 1e3 and np.all(np.max(np.abs(A), axis=1) > 1e-3 * size) and np.linalg.cond(A) < largest):
        raise ValueError("dependent columns, a row of zeros, or numbers that are too large")
    return A


def few_trials(block: int) -> dict[Tier, Budget]:
    """Budgets of claims whose trials are expensive: small blocks, and few trials that only measure the slack."""
    return {
        "quick": Budget(192, block, slack_trials=block),
        "full": Budget(1024, block, slack_trials=64),
        "nightly": Budget(20_000 // block * block, block, slack_trials=256),
    }
