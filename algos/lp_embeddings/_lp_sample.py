"""Weighted samples of the rows of an lp regression."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from algos.common.randomness import row_uniforms
from algos.common.validation import is_sparse
from algos.lp_embeddings._lp_problem import LpProblem
from algos.lp_embeddings._quantile_problem import Geometry, QuantileData
from algos.lp_embeddings.samplers import inclusion_probabilities, l2_augmented, root_leverage

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LpOptions:
    """Checked options of a fit; `size` is a number of rows or None for the default."""

    tol: float
    sampler: str
    size: int | None
    certify: bool
    max_iter: int


@dataclass(frozen=True)
class LpSample:
    """Sampled rows as a problem in the whitened basis, with weights that make its p-th powers unbiased for all rows."""

    index: npt.NDArray[np.intp]
    problem: LpProblem


def draw_lp_sample(data: QuantileData, problem: LpProblem, options: LpOptions, rng: np.random.Generator) -> LpSample:
    """Independent draws: row i is kept with probability q_i, and its weight is divided by q_i."""
    n, d = problem.A.shape
    size = options.size
    if size is None:
        size = int(min(2 * n**0.7, 20_000) * max(1.0, d / 20) ** 0.5) + 1
    q = _probabilities(problem, options, min(size, n))
    index = np.flatnonzero(row_uniforms(int(rng.integers(2**63)), 0, n) < q)
    basis = problem.shape.basis
    rows = data.rows(index) @ basis
    weights = problem.weights[index] / q[index]
    weights /= float(weights.mean()) if len(index) else 1.0
    identity = Geometry(np.eye(basis.shape[1]), np.sqrt(np.einsum("ij,ij->i", rows, rows)))
    return LpSample(index, LpProblem(rows, problem.b[index], weights, problem.p, identity))


def _probabilities(problem: LpProblem, options: LpOptions, size: int) -> FloatArray:
    n, p = len(problem.b), problem.p
    if size >= n:
        return np.ones(n)
    leverage = problem.leverages
    roots = root_leverage(leverage, min(p, 2.0))
    total = float(roots.sum())
    if options.sampler == "uniform" or total == 0.0:  # in a table of zeros no row tells more than another
        return np.full(n, size / n)
    if options.sampler == "auto" and options.certify:
        return np.minimum(1.0, size * (0.5 / n + 0.5 * roots / total))
    if options.sampler == "leverage" or (options.sampler == "auto" and p == 2.0):
        scores = leverage
    elif options.sampler == "auto" and p < 2.0:
        scores = l2_augmented(roots, leverage)
    else:
        from algos.lp_embeddings.lewis_weights import lewis_weights

        scores = lewis_weights(_scaled(problem), p)
    return inclusion_probabilities(scores, size)


def _scaled(problem: LpProblem) -> Any:
    """Return the rows multiplied by the p-th roots of their weights, whose plain norm is the weighted one."""
    if np.all(problem.weights == problem.weights[0]):
        return problem.A
    root = problem.weights ** (1.0 / problem.p)
    return sp.diags_array(root) @ problem.A if is_sparse(problem.A) else problem.A * root[:, None]
