"""A claim with a known sharp constant, for the tests of search and shrinking.

For every M and every S of rank at most r, the best rank-r approximation T of M satisfies ||T - S||_F <= phi ||M - S||_F with phi the golden
ratio, and the constant cannot be improved: M = diag(1 + e, 1), S = diag(0, phi) tends to it as e falls to 0.
"""

from functools import partial

import numpy as np

from proofs_check import Catalogue, Claim, Family, FloatBudget, Instance, Mutant, Source
from proofs_check.model import SearchSpace

PHI = (1 + 5**0.5) / 2


def truncate(M, rank):
    u, s, vt = np.linalg.svd(M, full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ vt[:rank]


def dimension(point):
    m, n, r = point["m"], point["n"], point["rank"]
    return m * n + (m + n) * r


def decode(x, point):
    m, n, r = point["m"], point["n"], point["rank"]
    if r > min(m, n):
        raise ValueError("rank exceeds the size")
    M = x[: m * n].reshape(m, n)
    S = x[m * n : m * n + m * r].reshape(m, r) @ x[m * n + m * r :].reshape(r, n)
    distance = float(np.linalg.norm(M - S))
    if not distance > 1e-6 * np.linalg.norm(M):  # nearly equal matrices: the ratio would be rounding
        raise ValueError("M is of rank r already")
    return Instance({**point, "distance": distance}, {"M": M, "S": S})


def gaussian(rng, point):
    return decode(rng.standard_normal(dimension(point)), point)


def _bound(constant, *, distance):
    return constant * distance


def shapes(point):
    m, n, r = point["m"], point["n"], point["rank"]
    return ((m, n), (m, r), (r, n))


def measure(inst, rng, impl):
    return np.linalg.norm(impl.truncate(inst.M, inst.rank) - inst.S)


SMALLER = Mutant("smaller", "bound", lambda f: lambda **k: 0.95 * f(**k), why="the constant is sharp to within 5 %")


def claim(constant=PHI, sizes=((2, 2, 1), (4, 4, 2)), tight=0.999, mutants=(SMALLER,), **options) -> Claim:
    cat = Catalogue("tests/rank_truncation")
    grid = tuple({"m": m, "n": n, "rank": r} for m, n, r in sizes)
    space = SearchSpace(dimension, decode, **options)
    cat.inequality(
        "TST-02",
        bound=partial(_bound, constant),
        params=("distance",),
        budget=FloatBudget(k=40, scale=lambda inst, outcome: np.linalg.norm(inst.M), why="backward error of an SVD of a few rows"),
        families=[Family("pairs", gaussian, grid, search=space)],
        impl={"truncate": truncate},
        mutants=mutants,
        source=Source("derived", proof="von Neumann's trace inequality reduces it to hard thresholding of vectors"),
        plain="truncation at most multiplies the distance to a matrix of rank r by the golden ratio",
        **({} if tight is None else {"tight": tight}),
    )(measure)
    return cat["TST-02"]
