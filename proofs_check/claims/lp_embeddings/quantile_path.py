"""Claims about several quantiles at once: what sorting predicted quantiles does to their losses."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings import bounds
from algos.lp_embeddings.quantile_path import certified_quantile_path, rearranged
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source

cat = Catalogue("lp_embeddings/quantile_path")

FloatArray = npt.NDArray[np.float64]


def _noise(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return predictions that have nothing to do with the responses, or with each other."""
    k = point["k"]
    levels = np.sort(rng.uniform(0.01, 0.99, k))
    return Instance({"k": k}, {"levels": levels, "predictions": rng.standard_t(2, (30, k)), "b": rng.standard_t(2, 30)})


def _reversed(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return one row whose quantiles stand in the wrong order, at levels close to each other: sorting hardly gains."""
    step = point["step"]
    levels = 0.5 + step * np.arange(-1.0, 2.0)
    return Instance({"k": 3}, {"levels": levels, "predictions": np.array([[3.0, 2.0, 1.0]]), "b": np.array([rng.uniform(0.0, 4.0)])})


def _crossing_fits(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return fitted lines on few rows with many columns, which cross."""
    A = rng.standard_normal((60, 8))
    b = A[:, 0] + (1.0 + np.abs(A[:, 1])) * rng.standard_t(2, 60)
    levels = np.linspace(0.1, 0.9, 9)
    fitted = A @ certified_quantile_path(A, b, levels, random_state=0).coef.T
    return Instance({"k": 9}, {"levels": levels, "predictions": fitted, "b": b})


def _summed_loss(inst: Instance, predictions: FloatArray) -> float:
    return sum(bounds.quantile_loss(residuals=inst.b - predictions[:, j], quantile=t) for j, t in enumerate(inst.levels))


def _falling(sort: Callable[[FloatArray], FloatArray]) -> Callable[[FloatArray], FloatArray]:
    return lambda predictions: sort(predictions)[:, ::-1]


def _running_maximum(sort: Callable[[FloatArray], FloatArray]) -> Callable[[FloatArray], FloatArray]:
    return lambda predictions: np.maximum.accumulate(predictions, axis=1)


@cat.identity(
    "LP-26",
    budget=FloatBudget(
        k=lambda inst, out: 4 * inst.k * len(inst.b) + 16,
        scale=lambda inst, out: out.aux["size"],
        why="two sums of quantile losses and a sum over exchanged pairs, compared at the size of the losses",
    ),
    impl={"rearranged": rearranged, "gain": bounds.rearrangement_gain},
    families=[
        Family("noise", _noise, grid=tuple({"k": k} for k in (2, 3, 9))),
        Family("reversed", _reversed, grid=({"step": 0.4}, {"step": 1e-3}), role="adversarial"),
        Family("crossing_fits", _crossing_fits, role="adversarial"),
    ],
    trials={"quick": 3, "full": 20},
    mutants=[
        Mutant(
            "sorted_downwards",
            "impl",
            {"rearranged": _falling},
            why="the largest prediction is given to the smallest quantile",
            part="noise(k=3)",
        ),
        Mutant(
            "running_maximum",
            "impl",
            {"rearranged": _running_maximum},
            why="crossings are removed by raising the higher quantiles, which can raise the loss",
            part="noise(k=3)",
        ),
        Mutant(
            "gain_of_one_step",
            "impl",
            {"gain": lambda f: lambda *, levels, predictions: f(levels=levels[:2], predictions=predictions[:, :2])},
            why="only the first pair of quantiles is counted",
            part="noise(k=3)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Quantiles that do not cross"),
    title="what sorting quantiles gains",
    plain="Sorting the predicted quantiles of each row lowers the sum of the quantile losses by an amount that does not depend on the "
    "responses, and never raises it.",
    tex=r"\sum_j\rho_{t_j}(b-q_j)-\sum_j\rho_{t_j}(b-q_{(j)})=\sum_jt_j\,(q_{(j)}-q_j)\ge0",
)
def gain_of_sorting(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the fall of the summed loss and the smallest step of the sorted predictions beside the formula and its part above zero."""
    before, after = _summed_loss(inst, inst.predictions), _summed_loss(inst, impl.rearranged(inst.predictions))
    gain = impl.gain(levels=inst.levels, predictions=inst.predictions)
    steps = np.diff(impl.rearranged(inst.predictions), axis=1).min()
    size = before + float(np.abs(inst.predictions).sum() + np.abs(inst.b).sum())
    return Outcome(np.array([before - after, gain, steps]), np.array([gain, max(gain, 0.0), max(steps, 0.0)]), aux={"size": size})
