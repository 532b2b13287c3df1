"""Claims about leverage scores: what they are, how accurately they are computed, and what a ridge does to them."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from algos.common.linalg import whitening
from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings.leverage_scores import leverage_scores
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import (
    ADVERSARIAL,
    TYPICAL,
    condition,
    flights_table,
    random_table,
    searched,
    small_table,
    unit_columns,
)

cat = Catalogue("lp_embeddings/leverage_scores")

FloatArray = npt.NDArray[np.float64]
Scores = Callable[..., FloatArray]

_MIXING = 100.0  # condition of the matrix that recombines the columns


# --- what leverage scores are -----------------------------------------------------------------------------------------------------


def _table(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = random_table(rng, point)
    return Instance({"rank": A.shape[1], "full": True}, {"A": A})


def _deficient(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    base = rng.standard_normal((40, 3))
    zero_row, zero_column = np.zeros((2, 3)), np.zeros((42, 1))
    A = np.hstack([np.vstack([zero_row, base]), zero_column])
    if point["how"] == "copied_column":
        A = np.hstack([A, A[:, :1] + A[:, 1:2]])
    elif point["how"] == "wide":
        A = rng.standard_normal((3, 7))
    elif point["how"] == "scaled_columns":
        A[:, 1] *= 1e8
    return Instance({"rank": 3, "full": True}, {"A": A})


def _oracle(A: FloatArray, rank: int) -> FloatArray:
    """Squared row lengths of an orthonormal basis of the columns, by the singular value decomposition."""
    truth = (np.linalg.svd(unit_columns(A), full_matrices=False)[0][:, :rank] ** 2).sum(axis=1)
    return np.where(np.any(A != 0.0, axis=1), truth, 0.0)  # the decomposition leaves rounding in rows of zeros


def _mixing_matrix(d: int, rng: np.random.Generator) -> FloatArray:
    left, right = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
    return np.asarray(left * np.geomspace(1.0, 1.0 / _MIXING, d) @ right)


def _transposed_inverse(scores: Scores) -> Scores:
    return lambda A: ((A @ whitening(A).R_inv.T) ** 2).sum(axis=1)


def _scaled_on_one_side(scores: Scores) -> Scores:
    def wrong(A: Any) -> FloatArray:
        dense = sp.csr_array(A).toarray()
        G = dense.T @ dense
        length = np.sqrt(np.diag(G))
        return np.asarray((dense * np.linalg.lstsq(G / np.where(length > 0.0, length, 1.0)[:, None], dense.T)[0].T).sum(axis=1))

    return wrong


@cat.identity(
    "LP-01",
    budget=FloatBudget(
        k=lambda inst, out: inst.A.shape[0] + 4 * inst.A.shape[1] ** 2,
        cond=lambda inst, out: out.aux["cond"],
        scale=lambda inst, out: np.abs(out.reference),
        why="Gram matrix: n additions an entry, factor and inverse d^2 each; its relative error is amplified by the squared condition",
    ),
    impl={"leverage_scores": leverage_scores},
    families=[
        Family("typical", _table, grid=tuple({"table": name} for name in TYPICAL)),
        Family("adversarial", _table, grid=tuple({"table": name} for name in ADVERSARIAL), role="adversarial"),
        Family(
            "deficient",
            _deficient,
            grid=tuple({"how": how} for how in ("zeros", "copied_column", "wide", "scaled_columns")),
            role="adversarial",
        ),
        flights_table({"rank": 34, "full": False, "cond": 56.0}),
    ],
    trials={"quick": 4},
    mutants=[
        Mutant(
            "transposed_inverse",
            "impl",
            {"leverage_scores": _transposed_inverse},
            why="the inverse of the triangular factor multiplied from the wrong side",
            part="typical(table=gaussian)",
        ),
        Mutant(
            "scaled_on_one_side",
            "impl",
            {"leverage_scores": _scaled_on_one_side},
            why="the Gram matrix is scaled by rows, not symmetrically, before it is factorised",
            part="typical(table=gaussian)",
        ),
    ],
    blind_to=("a ridge added twice: there is none here; LP-03a sees it",),
    source=Source("folklore"),
    title="what leverage scores are",
    plain="Leverage scores are the squared row lengths of an orthonormal basis: they add up to the rank, do not change when columns are "
    "recombined, are shared by copies of a row, and are the same for a sparse table.",
    tex=r"\sum_i \tau_i(A)=\operatorname{rank}(A),\quad \tau_i(AM)=\tau_i(A)",
)
def what_leverage_scores_are(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Compare the scores with an oracle and with themselves on rewritten tables."""
    A, rank = inst.A, inst.rank
    scores = impl.leverage_scores(A)
    if not inst.full:
        return Outcome(np.array([scores.sum()]), np.array([float(rank)]), aux={"cond": inst.cond**2})
    truth = _oracle(A, rank)
    square = condition(A, rank) ** 2
    mixed = A @ _mixing_matrix(A.shape[1], rng)
    shares = np.array([0.5, 0.3, 0.2])  # squared factors of the copies into which the last row is split
    split = np.vstack([A[:-1], np.sqrt(shares)[:, None] * A[-1]])
    pieces = [
        (scores, truth, square),
        (np.array([scores.sum()]), np.array([float(rank)]), square),
        (impl.leverage_scores(mixed), truth, condition(mixed, rank) ** 2),
        (impl.leverage_scores(split), np.r_[truth[:-1], shares * truth[-1]], square),
        (impl.leverage_scores(sp.csr_array(A)), truth, square),
    ]
    cond = np.concatenate([np.full(len(value), kappa) for value, _, kappa in pieces])
    return Outcome(np.concatenate([p[0] for p in pieces]), np.concatenate([p[1] for p in pieces]), aux={"cond": cond})


def _searched_table(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    return Instance({"rank": point["d"], "full": True}, {"A": small_table(x, point)})


def _entries(point: Mapping[str, Any]) -> tuple[tuple[int, ...], ...]:
    return ((point["n"], point["d"]),)


def _rows_outside_the_sample(scores: Scores) -> Scores:
    def wrong(A: FloatArray) -> FloatArray:
        half = A[::2]
        return np.asarray((A * np.linalg.solve(half.T @ half, A.T).T).sum(axis=1))

    return wrong


@cat.inequality(
    "LP-01a",
    budget=FloatBudget(
        k=lambda inst, out: inst.A.shape[0] + 4 * inst.A.shape[1] ** 2,
        cond=lambda inst, out: condition(inst.A, inst.rank) ** 2,
        why="rounding of the Gram route, as in LP-01",
    ),
    impl={"leverage_scores": leverage_scores},
    families=[
        Family("typical", _table, grid=tuple({"table": name} for name in TYPICAL)),
        # rows that alone carry a direction have a score of exactly 1, whatever their scale
        Family(
            "lonely_rows",
            lambda rng, point: Instance({"rank": 6}, {"A": instances.coherent(60, 3, 3, point["scale"], rng).A}),
            grid=tuple({"scale": scale} for scale in (1e-6, 1.0, 1e6)),
            role="adversarial",
        ),
        searched(_searched_table, _entries, ({"n": 3, "d": 2}, {"n": 8, "d": 3})),
    ],
    tight=0.999,
    trials={"quick": 4},
    search={"quick": 300, "full": 5_000, "nightly": 100_000},
    mutants=[
        Mutant(
            "gram_of_half",
            "impl",
            {"leverage_scores": _rows_outside_the_sample},
            why="the Gram matrix is taken from a sample of rows: right on average, above 1 for rows outside",
            part="typical(table=heavy_tailed)",
        )
    ],
    source=Source("folklore"),
    title="leverage scores lie between 0 and 1",
    plain="No leverage score is negative or above 1.",
    tex=r"0\le\tau_i\le 1",
)
def range_of_leverage_scores(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the largest score and the largest negated score."""
    scores = impl.leverage_scores(inst.A)
    return Outcome(np.array([scores.max(), -scores.min()]), np.array([1.0, 0.0]))


# --- accuracy ---------------------------------------------------------------------------------------------------------------------


def _conditioned(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = instances.with_condition(
        200, point.get("d", 8), point["kappa"], point.get("spectrum", "geometric"), point.get("column_scale", 1.0), rng
    )
    R = np.linalg.qr(unit_columns(made.A), mode="r")
    estimate = float(np.linalg.norm(R, 1) * np.linalg.norm(np.linalg.inv(R), 1))
    return Instance({"cond": max(estimate, 1.0), **point}, {"A": made.A})


def _searched_condition(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    """Move the last column towards the first one: any condition number up to 1e12 lies a few steps away."""
    A = small_table(x, point, largest=1e3)
    A[:, -1] = A[:, 0] + 10.0 ** (-5.5 - 5.5 * np.tanh(x[-1])) * A[:, -1]
    R = np.linalg.qr(unit_columns(A), mode="r")
    estimate = float(np.linalg.norm(R, 1) * np.linalg.norm(np.linalg.inv(R), 1))
    if not estimate < 1e12:
        raise ValueError("beyond the condition numbers that the claim lists")
    return Instance({"cond": max(estimate, 1.0)}, {"A": A})


def _long_double_oracle(A: FloatArray) -> npt.NDArray[np.longdouble]:
    """Row lengths of a basis by three rounds of Gram-Schmidt in extended precision."""
    Q = A.astype(np.longdouble)
    for _ in range(3):
        for j in range(Q.shape[1]):
            for i in range(j):
                Q[:, j] -= Q[:, i] * (Q[:, i] @ Q[:, j])
            Q[:, j] /= np.sqrt(Q[:, j] @ Q[:, j])
    return np.asarray((Q * Q).sum(axis=1))


def _always_gram(scores: Scores) -> Scores:
    def wrong(A: FloatArray, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return scores(A, **{**options, "method": "gram"})

    return wrong


def _rounds(count: int) -> Callable[[Scores], Scores]:
    """Make scores from a shifted Cholesky factor followed by too few rounds of orthogonalisation."""

    def mutate(scores: Scores) -> Scores:
        def wrong(A: FloatArray, **options: Any) -> FloatArray:
            Y = unit_columns(A)
            G = Y.T @ Y
            factor = np.linalg.cholesky(G + 100 * bounds.UNIT_ROUNDOFF * np.linalg.norm(G, 2) * np.eye(len(G)))
            Y = np.linalg.solve(factor, Y.T).T
            for _ in range(count):
                Y = np.linalg.solve(np.linalg.cholesky(Y.T @ Y), Y.T).T
            return np.asarray((Y**2).sum(axis=1))

        return wrong

    return mutate


_SWEEP = (1.0, 1e2, 1e4, 1e6, 1e7, 1e9, 1e11, 1e12)


@cat.inequality(
    "LP-02",
    bound=bounds.leverage_error,
    budget=FloatBudget(k=200 + 64, why="rounding that is there at condition 1: sums of n terms and d^2 operations on the factor"),
    impl={"leverage_scores": leverage_scores},
    families=[
        Family("geometric", _conditioned, grid=tuple({"kappa": kappa} for kappa in _SWEEP)),
        Family("two_columns", _conditioned, grid=({"kappa": 1e3, "d": 3},), role="adversarial"),
        Family(
            "one_direction",
            _conditioned,
            grid=tuple({"kappa": kappa, "spectrum": shape} for kappa in (1e4, 1e9, 1e12) for shape in ("one_small", "one_large")),
            role="adversarial",
        ),
        Family("columns", _conditioned, grid=tuple({"kappa": kappa, "column_scale": 1e10} for kappa in (10.0, 1e9)), role="adversarial"),
        searched(_searched_condition, lambda point: (*_entries(point), (1,)), ({"n": 4, "d": 2}, {"n": 8, "d": 3})),
    ],
    search={"quick": 600, "full": 5_000, "nightly": 100_000},
    requires=lambda inst, out: bool(np.finfo(np.longdouble).eps < 1e-18),
    trials={"quick": 2},
    companions=("LP-02a",),
    mutants=[
        Mutant(
            "no_condition_test",
            "impl",
            {"leverage_scores": _always_gram},
            why="the Gram route is used as long as Cholesky does not fail",
            part="geometric(kappa=1e?07)",
        ),
        Mutant(
            "shift_only",
            "impl",
            {"leverage_scores": _rounds(0)},
            why="the shifted factor is taken for the factor: one round instead of three",
            part="geometric(kappa=1e?09)",
        ),
        Mutant(
            "plain_condition",
            "bound",
            lambda f: lambda *, cond: f(cond=cond**0.5),
            why="the condition of the Gram matrix taken for that of the table",
            part="geometric(kappa=10000)",
        ),
    ],
    source=Source("folklore", reference="the shape in the condition number; factors 16 and 4 calibrated on other tables, then frozen"),
    title="accuracy of computed leverage scores",
    plain="Computed leverage scores have a relative error of at most 16 u cond^2 where the Gram matrix is used, and 1e-12 + 4 u cond "
    "elsewhere, for condition numbers from 1 to 1e12 against an oracle in extended precision. The factors 16 and 4 are calibrated, not "
    "proved.",
    tex=r"\frac{|\hat\tau_i-\tau_i|}{\tau_i}\le 16\,u\,\kappa^2\ \text{ or }\ 10^{-12}+4\,u\,\kappa",
)
def relative_error_of_leverage_scores(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the largest relative error."""
    truth = _long_double_oracle(inst.A)
    return float(np.max(np.abs(impl.leverage_scores(inst.A) - truth) / truth))


def _path_by_raw_condition(scores: Scores) -> Scores:
    def wrong(A: FloatArray, **options: Any) -> Any:
        fast = bounds.UNIT_ROUNDOFF * np.linalg.cond(A) ** 2 <= 1e-6
        return scores(A, **{**options, "method": "gram" if fast else "shifted"})

    return wrong


@cat.identity(
    "LP-02a",
    budget=FloatBudget(k=1, why="both sides are 0 or 1: no rounding, the smallest budget there is"),
    impl={"leverage_scores": leverage_scores},
    families=[
        Family("geometric", _conditioned, grid=tuple({"kappa": kappa} for kappa in _SWEEP)),
        Family("columns", _conditioned, grid=tuple({"kappa": kappa, "column_scale": 1e10} for kappa in (10.0, 1e9)), role="adversarial"),
    ],
    trials={"quick": 2},
    mutants=[
        Mutant(
            "condition_of_raw_columns",
            "impl",
            {"leverage_scores": _path_by_raw_condition},
            why="the condition is that of the table before its columns are scaled: units decide the path",
            part="columns(kappa=10*",
        ),
        Mutant(
            "no_condition_test",
            "impl",
            {"leverage_scores": _always_gram},
            why="the Gram route is always taken",
            part="geometric(kappa=1e?07)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Leverage scores"),
    title="which path computes leverage scores",
    plain="The Gram route is taken exactly while u cond^2 is at most the accepted error, whatever the units of the columns.",
)
def path_of_leverage_scores(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return 1 where the Gram route was taken, with 1 where it should be."""
    info = impl.leverage_scores(inst.A, return_info=True)
    return Outcome(float(info.method == "gram"), float(bounds.UNIT_ROUNDOFF * inst.cond**2 <= 1e-6))


# --- ridge ------------------------------------------------------------------------------------------------------------------------


def _with_spectrum(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    if point["shape"] == "wide":
        A = rng.standard_normal((6, 15))
    elif point["shape"] == "deficient":
        A = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 6))
    else:
        A = instances.with_condition(60, 6, 1e3, point["shape"], random_state=rng).A
    return Instance({"ridge": point["ridge"], "singular_values": np.linalg.svd(A, compute_uv=False)}, {"A": A})


def _searched_ridge(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    A = small_table(x, point)
    return Instance({"ridge": float(np.exp(5.0 * np.tanh(x[-1]))), "singular_values": np.linalg.svd(A, compute_uv=False)}, {"A": A})


_ODD = ("one_small", "wide", "deficient")


@cat.identity(
    "LP-03a",
    bound=bounds.ridge_leverage_sum,
    params=("singular_values", "ridge"),
    budget=FloatBudget(
        k=200,
        cond=lambda inst, out: 1.0 + inst.singular_values[0] ** 2 / inst.ridge,
        scale=lambda inst, out: len(inst.singular_values),
        why="n additions and d^2 operations on a Gram matrix whose condition the ridge limits to 1 + s_1^2 / ridge",
    ),
    impl={"leverage_scores": leverage_scores},
    families=[
        Family("spectra", _with_spectrum, grid=tuple({"shape": "geometric", "ridge": ridge} for ridge in (1e-4, 1e-2, 1.0))),
        Family("odd", _with_spectrum, grid=tuple({"shape": s, "ridge": r} for s in _ODD for r in (1e-4, 1e-2, 1.0)), role="adversarial"),
    ],
    trials={"quick": 2},
    mutants=[
        Mutant(
            "ridge_on_table",
            "impl",
            {"leverage_scores": lambda f: lambda A, *, ridge=0.0, **k: f(A, ridge=ridge**2, **k)},
            why="the ridge is appended to the table, so that its square reaches the Gram matrix",
            part="spectra(shape=geometric,ridge=0.01)",
        ),
        Mutant(
            "ridge_twice",
            "impl",
            {"leverage_scores": lambda f: lambda A, *, ridge=0.0, **k: f(A, ridge=2.0 * ridge, **k)},
            why="the ridge is added to the Gram matrix and again to its factor",
            part="spectra(shape=geometric,ridge=0.01)",
        ),
        Mutant(
            "unsquared",
            "bound",
            lambda f: lambda *, singular_values, ridge: float(np.sum(singular_values / (singular_values + ridge))),
            why="singular values of the table taken for eigenvalues of the Gram matrix",
            part="spectra(shape=geometric,ridge=0.01)",
        ),
    ],
    source=Source("folklore"),
    title="sum of ridge leverage scores",
    plain="Ridge leverage scores add up to the effective dimension.",
    tex=r"\sum_i\tau_i(\lambda)=\sum_j\frac{\sigma_j^2}{\sigma_j^2+\lambda}",
)
def sum_of_ridge_scores(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the sum of the scores."""
    return float(np.sum(impl.leverage_scores(inst.A, ridge=inst.ridge)))


@cat.inequality(
    "LP-03b",
    budget=FloatBudget(
        k=200,
        cond=lambda inst, out: 1.0 + inst.singular_values[0] ** 2 / inst.ridge,
        why="rounding of both scores, as in LP-03a",
    ),
    impl={"leverage_scores": leverage_scores},
    families=[
        Family("spectra", _with_spectrum, grid=tuple({"shape": "geometric", "ridge": ridge} for ridge in (1e-4, 1.0))),
        Family("odd", _with_spectrum, grid=tuple({"shape": s, "ridge": r} for s in _ODD for r in (1e-4, 1.0)), role="adversarial"),
        searched(_searched_ridge, lambda point: (*_entries(point), (1,)), ({"n": 3, "d": 2},)),
    ],
    trials={"quick": 2},
    search={"quick": 300, "full": 5_000, "nightly": 100_000},
    companions=("LP-03a",),
    mutants=[
        Mutant(
            "reciprocal",
            "impl",
            {"leverage_scores": lambda f: lambda A, *, ridge=0.0, **k: f(A, ridge=1.0 / ridge, **k)},
            why="the argument is read as the inverse of the ridge, as classifiers with a parameter C do",
            part="spectra(shape=geometric,ridge=1)",
        )
    ],
    source=Source("folklore"),
    title="ridge leverage scores fall with the ridge",
    plain="Every ridge leverage score decreases when the ridge grows.",
    tex=r"\lambda\le\lambda'\Rightarrow\tau_i(\lambda)\ge\tau_i(\lambda')",
)
def ridge_scores_fall(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return scores at a larger ridge beside those at the ridge."""
    factor = float(rng.choice([1.0 + 1e-6, 1.5, 100.0]))
    return Outcome(impl.leverage_scores(inst.A, ridge=factor * inst.ridge), impl.leverage_scores(inst.A, ridge=inst.ridge))
