"""Claims about the distortion of samples: the measuring instrument itself, the sizes that suffice, and the exponent that they need."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings.distortion import Distortion, distortion, ratio_ascent
from algos.lp_embeddings.samplers import RowSample, inclusion_probabilities, sample_rows
from algos.lp_embeddings.sensitivities import lp_sensitivities
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import FLIGHTS, few_trials, random_table

cat = Catalogue("lp_embeddings/distortion")

FloatArray = npt.NDArray[np.float64]
Meter = Callable[..., Distortion]

_STARTS = 4
_DIRECTIONS = 300


def _norms(products: FloatArray, p: float) -> FloatArray:
    return np.asarray(np.linalg.norm(products, p, axis=0))


def _sketched(A: FloatArray, sample: RowSample, scale: FloatArray) -> FloatArray:
    return np.asarray(A[sample.indices] * scale[:, None])


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))


# --- the instrument ---------------------------------------------------------------------------------------------------------------------


def _sketch(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Draw a table and rows of it; their common factor decides whether the smallest or the largest ratio is the worse one."""
    A = random_table(rng, point, n=60, d=5)
    rows = rng.choice(len(A), size=len(A) // 4, replace=False)
    return Instance({"p": point["p"]}, {"A": A, "TA": A[rows] * point["factor"] ** (1.0 / point["p"])})


def _sketch_of_flights(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = point["dataset"].X[:, -2:]  # hour and minute: two numbers, so that the bracket is narrow
    A = A[rng.choice(len(A), size=5000, replace=False)]
    return Instance({"p": point["p"]}, {"A": A, "TA": A[:500] * 10.0 ** (1.0 / point["p"])})


def _grid(tables: tuple[str, ...], sizes: tuple[int, ...], exponents: tuple[float, ...]) -> tuple[dict[str, Any], ...]:
    return tuple({"table": t, "d": d, "p": p, "factor": f} for t in tables for d in sizes for p in exponents for f in (1.0, 5.0))


def _largest_only(meter: Meter) -> Meter:
    """Measure the smallest ratio with table and sketch exchanged, and forget to turn it round."""

    def wrong(A: Any, TA: Any, p: float, **options: Any) -> Distortion:
        found = meter(A, TA, p, **options)
        value = max(1.0 - 1.0 / found.smallest, found.largest - 1.0)
        return replace(found, lower=value, upper=value)

    return wrong


def _of_powers(meter: Meter) -> Meter:
    def wrong(A: Any, TA: Any, p: float, **options: Any) -> Distortion:
        found = meter(A, TA, p, **options)
        ends = [max(1.0 - found.smallest**p, found.largest**p - 1.0)] * 2
        return replace(found, lower=ends[0], upper=ends[1])

    return wrong


def _on_a_grid(meter: Meter) -> Meter:
    """Take the best of some directions for the truth."""

    def wrong(A: Any, TA: Any, p: float, method: str = "auto", **options: Any) -> Distortion:
        found = meter(A, TA, p, method=method, **options)
        if method == "ascent":
            return found
        angles = np.linspace(0.0, math.pi, 16)
        x = np.vstack([np.cos(angles), np.sin(angles), np.zeros((A.shape[1] - 2, len(angles)))])
        value = float(np.max(np.abs(_norms(TA @ x, p) / _norms(A @ x, p) - 1.0)))
        return replace(found, lower=value, upper=value)

    return wrong


_KNOWN = "typical(table=heavy_tailed,d=2,p=1,factor=1)"


@cat.inequality(
    "LP-19",
    budget=FloatBudget(
        k=lambda inst, out: 4096,
        cond=lambda inst, out: 1e3,
        scale=lambda inst, out: 1.0 + np.abs(out.value),
        why="rows that are equal to 2^-42 = 2048 u count as multiples of each other; norms in coordinates of condition at most 1e3",
    ),
    impl={"distortion": distortion},
    families=[
        Family(
            "typical", _sketch, grid=_grid(("gaussian", "heavy_tailed"), (2,), (1.0, 1.5, 4.0)) + _grid(("gaussian",), (3, 5), (1.0, 2.0))
        ),
        Family("adversarial", _sketch, grid=_grid(("spiked", "row_scales"), (2,), (1.0, 1.3, 8.0)), role="adversarial"),
        Family("flights", _sketch_of_flights, grid=({"p": 1.0}, {"p": 3.0}), role="real", dataset=FLIGHTS),
    ],
    tight=0.999,
    trials={"quick": 1},
    companions=("LP-19a", "LP-19b"),
    mutants=[
        Mutant(
            "minimum_not_turned_round",
            "impl",
            {"distortion": _largest_only},
            why="table and sketch are exchanged for the minimum, and the maximum found there is taken for it",
            part=_KNOWN,
        ),
        Mutant(
            "distortion_of_powers",
            "impl",
            {"distortion": _of_powers},
            why="the p-th powers of the norms are compared",
            part="typical(table=gaussian,d=2,p=4,factor=5)",
        ),
        Mutant(
            "grid_without_certificate",
            "impl",
            {"distortion": _on_a_grid},
            why="the largest ratio on a grid of directions is reported as the largest of all",
            part="typical(table=heavy_tailed,d=2,p=1.5,factor=1)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Distortion"),
    title="measured distortions are on the right side",
    plain="Searched distortions are attained, and neither they nor random directions exceed an exact value or a certified bound.",
    tex=r"\varepsilon_{\text{search}}\le\varepsilon\le\varepsilon_{\text{upper}}",
)
def brackets_of_the_distortion(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return what is searched and seen, beside what is attained and proved."""
    A, TA, p = inst.A, inst.TA, inst.p
    known = impl.distortion(A, TA, p)
    found = impl.distortion(A, TA, p, method="ascent", starts=_STARTS)
    x = np.column_stack([found.x_min, found.x_max])
    reached = float(np.max(np.abs(_norms(TA @ x, p) / _norms(A @ x, p) - 1.0)))
    directions = np.linalg.lstsq(np.linalg.qr(A)[1], rng.standard_normal((A.shape[1], _DIRECTIONS)))[0]
    seen = float(np.max(np.abs(_norms(TA @ directions, p) / _norms(A @ directions, p) - 1.0)))
    return Outcome(np.array([found.lower, seen, known.lower, found.lower]), np.array([known.upper, known.upper, known.upper, reached]))


def _steps_without_search(above: FloatArray, below: FloatArray, starts: FloatArray, p: float) -> tuple[FloatArray, FloatArray]:
    """Take the full reweighted least squares steps, whatever they do to the ratio."""
    directions, trace = starts.copy(), np.empty((13, len(starts)))
    for s, z in enumerate(directions):
        for step in range(len(trace)):
            u, v = below @ z, above @ z
            size, height = np.linalg.norm(u, p), np.linalg.norm(v, p)
            trace[step, s] = height / size
            weights = np.maximum(np.abs(u) / size, 1e-9) ** (p - 2.0)
            gradient = above.T @ (np.sign(v) * (np.abs(v) / height) ** (p - 1.0))
            z[:] = np.linalg.solve(below.T @ (weights[:, None] * below), gradient)
    return directions, trace


@cat.inequality(
    "LP-19a",
    budget=FloatBudget(k=200, scale=lambda inst, out: np.abs(out.reference), why="each ratio is that of two sums of at most 60 powers"),
    impl={"ratio_ascent": ratio_ascent},
    families=[
        Family("typical", _sketch, grid=_grid(("gaussian", "heavy_tailed"), (5,), (1.0, 1.5, 4.0))),
        Family("adversarial", _sketch, grid=_grid(("spiked", "row_scales", "vandermonde"), (5,), (1.0, 8.0)), role="adversarial"),
    ],
    trials={"quick": 2},
    mutants=[
        Mutant(
            "full_steps",
            "impl",
            {"ratio_ascent": lambda f: _steps_without_search},
            why="reweighted steps are taken without looking at the ratio",
            part="adversarial(table=spiked,d=5,p=8,factor=1)",
        )
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Distortion: the search"),
    title="the search for the distortion is monotone",
    plain="No step of the ascent lowers the ratio of the norms, and its last value is the ratio at the direction that it returns.",
)
def ratios_along_the_ascent(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the ratios before each step beside those after it."""
    R = np.linalg.qr(inst.A)[1]
    below, above = (np.ascontiguousarray(np.linalg.solve(R.T, rows.T).T) for rows in (inst.A, inst.TA))
    directions, trace = impl.ratio_ascent(above, below, rng.standard_normal((4, below.shape[1])), inst.p)
    final = _norms(above @ directions.T, inst.p) / _norms(below @ directions.T, inst.p)
    return Outcome(np.r_[trace[:-1].ravel(), trace[-1]], np.r_[trace[1:].ravel(), final])


@cat.identity(
    "LP-19b",
    budget=FloatBudget(
        k=lambda inst, out: 4096,
        cond=lambda inst, out: np.linalg.cond(inst.A / np.linalg.norm(inst.A, axis=0)) ** 2,
        why="the generalised eigenvalues of two Gram matrices lose the square of the condition number",
    ),
    impl={"distortion": distortion},
    families=[
        Family("typical", _sketch, grid=_grid(("gaussian", "legendre"), (2, 5), (2.0,))),
        Family("adversarial", _sketch, grid=_grid(("spiked", "block_diagonal"), (5,), (2.0,)), role="adversarial"),
    ],
    trials={"quick": 2},
    mutants=[
        Mutant("squares", "impl", {"distortion": _of_powers}, why="eigenvalues are taken for ratios of norms, without the root"),
        Mutant(
            "not_whitened",
            "impl",
            {"distortion": lambda f: lambda A, TA, p: f(np.eye(A.shape[1]) * np.linalg.norm(A, 2), TA, p)},
            why="singular values of the sketch are compared with the norm of the table",
        ),
    ],
    source=Source("folklore"),
    title="the distortion for p = 2",
    plain="For p = 2 the distortion is that of the generalised eigenvalues of the two Gram matrices.",
)
def distortion_by_eigenvalues(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return both ends of the bracket beside the value from the eigenvalues."""
    unit = np.linalg.norm(inst.A, axis=0)
    A, TA = inst.A / unit, inst.TA / unit
    ratios = np.sqrt(np.maximum(scipy.linalg.eigh(TA.T @ TA, A.T @ A, eigvals_only=True)[[0, -1]], 0.0))
    truth = max(1.0 - ratios[0], ratios[1] - 1.0)
    found = impl.distortion(inst.A, inst.TA, 2.0)
    return Outcome(np.array([found.lower, found.upper]), np.full(2, truth))


# --- sizes that suffice -----------------------------------------------------------------------------------------------------------------

_C, _L = 2.0, 1.0  # frozen before any of these tables was seen; nothing here is fitted to them


def _eps(*, eps: float) -> float:
    """Distortion that the size was asked for."""
    return eps


def _exact(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return a table with its exact sensitivities, in closed form."""
    p = point["p"]
    made = instances.mixture_hard_instance(4, 64, 3, p) if point["table"] == "mixture" else instances.two_basis(8, 64, p)
    assert made.sensitivities is not None
    A, s = made.A, made.sensitivities
    if point["table"] == "lonely_rows":  # three more columns, each in one row only: these rows have sensitivity 1
        A, s = scipy.linalg.block_diag(A, np.eye(3)), np.r_[s, np.ones(3)]
    return Instance(dict(point), {"A": A, "s": s})


def _computed(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return a table with its sensitivities computed to 1 %."""
    A = random_table(rng, point, n=400, d=4)
    return Instance(dict(point), {"A": A, "s": lp_sensitivities(A, point["p"], method="exact", rtol=1e-2).upper})


def _size(p: float, d: int, total: float, eps: float) -> int:
    return bounds.sample_size(sampler="sensitivity_power", p=p, d=d, S=total, eps=eps, C=_C, L=_L)


def _uncapped(sample: Callable[..., RowSample]) -> Callable[..., RowSample]:
    """Draw with 'probabilities' that may exceed one: such rows are always drawn, with weights below one."""

    def wrong(q: FloatArray, *, seed: int) -> RowSample:
        capped = sample(np.minimum(q, 1.0), seed=seed)
        return RowSample(capped.indices, 1.0 / q[capped.indices])

    return wrong


_EPS_GRID: tuple[dict[str, Any], ...] = (
    *({"table": t, "p": p, "eps": 0.5} for t, p in (("two_basis", 1.0), ("two_basis", 1.5), ("mixture", 1.0))),
    {"table": "lonely_rows", "p": 1.0, "eps": 0.5},
    {"table": "two_basis", "p": 1.0, "eps": 0.25},
)


@cat.tail(
    "LP-11",
    bound=_eps,
    levels=(0.1,),
    impl={
        "inclusion_probabilities": inclusion_probabilities,
        "sample_rows": sample_rows,
        "scale": RowSample.scale,
        "size": _size,
    },
    families=[
        Family("exact", _exact, grid=_EPS_GRID, role="adversarial"),
        Family(
            "computed",
            _computed,
            grid=tuple({"table": t, "p": p, "eps": 0.5} for t, p in (("heavy_tailed", 1.0), ("spiked", 1.5), ("gaussian", 4.0))),
        ),
    ],
    budgets=few_trials(16),
    mutants=[
        Mutant(
            "weight_multiplies_rows",
            "impl",
            {"scale": lambda f: lambda sample, p: sample.weights},
            why="rows are multiplied by 1/q instead of its p-th root",
            part="exact(table=two_basis,p=1.5,eps=0.5)@0.1",
        ),
        Mutant(
            "cap_dropped",
            "impl",
            {"inclusion_probabilities": lambda f: lambda s, m: s * (m / s.sum()), "sample_rows": _uncapped},
            why="probabilities are not capped at one, and certain rows get weights below one",
            part="exact(table=lonely_rows,p=1,eps=0.5)@0.1",
        ),
        Mutant(
            "scores_of_other_rows",
            "impl",
            {"inclusion_probabilities": lambda f: lambda s, m: f(np.roll(s, 1), m)},
            why="scores belong to a table whose rows have shifted by one, as after a dropped row",
            part="computed(table=heavy_tailed,p=1,eps=0.5)@0.1",
        ),
        Mutant(
            "size_in_the_first_power",
            "impl",
            {"size": lambda f: lambda p, d, total, eps: math.ceil(_C * total / eps**2)},
            why="S rows instead of S^(2/p)",
            part="exact(table=two_basis,p=1,eps=0.5)@0.1",
        ),
    ],
    source=Source("paper", reference="Woodruff, Yasuda 2023, arXiv 2306.00732, abstract; the constant and the missing logarithm are ours"),
    title="sensitivity sampling at its improved size",
    plain="With C = 2 and no logarithm, sensitivity sampling with S^(2/p) rows (p < 2) or S^(2-2/p) rows (p > 2), over eps squared, has "
    "distortion at most eps in at least nine of ten samples, as far as the search for the distortion sees.",
    tex=r"m=2\varepsilon^{-2}S^{2/p}\ (p<2),\quad 2\varepsilon^{-2}S^{2-2/p}\ (p>2):\quad P(\text{distortion}>\varepsilon)\le 0.1",
)
def distortion_at_the_improved_size(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the distortion of one sample."""
    A, s, p = inst.A, inst.s, inst.p
    m = impl.size(p, A.shape[1], float(s.sum()), inst.eps)
    sample = impl.sample_rows(impl.inclusion_probabilities(s, m), seed=_seed(rng))
    return distortion(A, _sketched(A, sample, impl.scale(sample, p)), p, starts=_STARTS).lower


# --- the exponent -----------------------------------------------------------------------------------------------------------------------

_ENOUGH, _TOO_FEW = 4.5, 2.0  # times S^(2/p); the median size lies between at every dimension


def _two_basis(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = instances.two_basis(point["d"], max(48, 4 * point["d"]), point["p"])
    return Instance(dict(point), {"A": made.A, "s": made.sensitivities})


def _half(*, side: str) -> float:
    """Threshold between right (0) and wrong (1)."""
    return 0.5


def _rows_of_theory(p: float, d: int, total: float) -> float:
    return bounds.leading_rows(sampler="sensitivity_power", p=p, d=d, S=total)


def _rescaled(power: Callable[[float, float], float], p: float) -> Callable[[float, int, float], float]:
    """Another power of S and d, equal to the theory at d = 4."""
    start = bounds.two_basis_total_sensitivity(d=4, p=p)
    unit = start ** (2.0 / p) / power(start, 4.0)
    return lambda p, d, total: unit * power(total, float(d))


@cat.tail(
    "LP-13",
    bound=_half,
    levels=(0.5,),
    impl={"rows": _rows_of_theory},
    families=[
        Family(
            "two_basis",
            _two_basis,
            grid=tuple({"d": d, "p": p, "side": side} for d in (4, 8, 16, 32) for p in (1.0, 1.5) for side in ("enough", "too_few")),
            role="adversarial",
        )
    ],
    budgets=few_trials(8),
    mutants=[
        Mutant(
            "first_power",
            "impl",
            {"rows": lambda f: _rescaled(lambda S, d: S, 1.0)},
            why="rows in proportion to S",
            part="two_basis(d=32,p=1,side=enough)@0.5",
        ),
        Mutant(
            "classical_product",
            "impl",
            {"rows": lambda f: _rescaled(lambda S, d: S * d, 1.5)},
            why="rows in proportion to S d",
            part="two_basis(d=32,p=1.5,side=too_few)@0.5",
        ),
        Mutant(
            "large_p_exponent",
            "impl",
            {"rows": lambda f: lambda p, d, total: total ** (2.0 - 2.0 / p)},
            why="the exponent for p > 2 used below 2",
            part="two_basis(d=16,p=1,side=enough)@0.5",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, What sensitivity sampling needs"),
    title="the exponent 2/p is the right one",
    plain="On the two-basis matrix the size at which half of the samples have distortion at most one half lies between 2 and 4.5 times "
    "S^(2/p), at every dimension from 4 to 32.",
    tex=r"2\,S^{2/p}\le m_{1/2}\le 4.5\,S^{2/p}",
)
def wrong_side_of_the_median(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return 1 if a sample of the larger size fails, or one of the smaller size succeeds."""
    A, s, p = inst.A, inst.s, inst.p
    m = {"enough": _ENOUGH, "too_few": _TOO_FEW}[inst.side] * impl.rows(p, inst.d, float(s.sum()))
    sample = sample_rows(inclusion_probabilities(s, max(m, 1.0)), seed=_seed(rng))
    fails = distortion(A, _sketched(A, sample, sample.scale(p)), p, starts=_STARTS).lower > 0.5
    return float(fails == (inst.side == "enough"))
