"""Claims about descending the ramp loss on the sphere over all rows, with a line search."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import bounds
from algos.testable_halfspaces._descent import Descent, descend, normalised
from algos.testable_halfspaces._labelled_rows import LabelledRows
from algos.testable_halfspaces.ramp_learner import Candidate, RampPath, ramp_path
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._problems import ADVERSARIAL, TYPICAL, planted, random_direction, searched

cat = Catalogue("testable_halfspaces/ramp_learner")

FloatArray = npt.NDArray[np.float64]
Descend = Callable[..., Descent]
Learn = Callable[..., RampPath]

_PROOF = "docs/theory/testable_halfspaces.md, Descent on the sphere"

# --- with a line search ---------------------------------------------------------------------------------------------------------------

_STEPS = 8
_TOL = 1e-5


def _start(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = planted(rng, {"n": 300, "noise": "rcn", "rate": 0.1, **point})
    w = random_direction(rng, made.w.size)
    return Instance({"sigma": point["sigma"], "step": point.get("step", 1.0)}, {"X": made.X, "y": made.y, "w": w})


def _searched_size(point: Mapping[str, Any]) -> int:
    return int(point["n"] * (point["d"] + 1) + point["d"] + 1)


def _decoded_start(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    n, d = point["n"], point["d"]
    w = x[n * (d + 1) : n * (d + 1) + d]
    if not float(np.linalg.norm(w)) > 1e-3:
        raise ValueError("w has no direction")
    labels = np.where(x[n * d : n * (d + 1)] >= 0.0, 1.0, -1.0)
    params = {"sigma": float(np.exp(2.0 * np.tanh(x[-1]))), "step": 1.0}
    return Instance(params, {"X": x[: n * d].reshape(n, d), "y": labels, "w": normalised(w)})


def _search_by(accepts: Callable[[float, float, float, float], bool]) -> Callable[[Descend], Descend]:
    """Make a descent of one step whose line search accepts by another rule: (new loss, old loss, step, squared gradient)."""

    def mutate(right: Descend) -> Descend:
        def wrong(rows: LabelledRows, w: FloatArray, sigma: float, tol: float, max_iter: int, step: float) -> Descent:
            loss, gradient = rows.loss(w, sigma)
            norm = float(np.linalg.norm(gradient))
            if norm <= tol:
                return right(rows, w, sigma, tol, max_iter, step)
            trial = normalised(w - step * gradient)
            while step > 1e-10 and not accepts(rows.loss(trial, sigma)[0], loss, step, norm**2):
                step /= 2.0
                trial = normalised(w - step * gradient)
            return replace(right(rows, trial, sigma, tol, 0, step), step=2.0 * step)

        return wrong

    return mutate


@cat.inequality(
    "HS-03",
    budget=FloatBudget(
        k=lambda inst, out: 2 * inst.X.shape[0] + 64,
        why="losses are means of n numbers in [0, 1]; step and gradient have relative errors of some roundings",
    ),
    impl={"descend": descend},
    families=[
        Family("typical", _start, grid=tuple({"marginal": name, "sigma": 0.5} for name in TYPICAL)),
        Family(
            "adversarial",
            _start,
            grid=tuple({"marginal": name, "sigma": sigma} for name in (*ADVERSARIAL, "hidden_cluster") for sigma in (0.1, 1.0)),
            role="adversarial",
        ),
        # a first step that is far too long must be cut back
        Family(
            "long_steps",
            _start,
            grid=tuple({"marginal": name, "sigma": 0.5, "step": step} for name in ("gaussian", "t3") for step in (8.0, 1e4)),
            role="adversarial",
        ),
        Family(
            "searched",
            lambda rng, point: _decoded_start(rng.standard_normal(_searched_size(point)), point),
            grid=({"n": 4, "d": 2},),
            role="adversarial",
            search=SearchSpace(_searched_size, _decoded_start),
        ),
    ],
    budgets=searched(2, 100),
    tight=0.99,
    mutants=[
        Mutant(
            "armijo_without_slope",
            "impl",
            {"descend": _search_by(lambda new, old, step, square: new <= old)},
            why="any step that does not raise the loss is accepted, however little it gains",
            part="long_steps(marginal=gaussian,sigma=0.5,step=8)",
        ),
        Mutant(
            "no_line_search",
            "impl",
            {"descend": _search_by(lambda new, old, step, square: True)},
            why="the first step is taken as it is",
            part="long_steps(marginal=gaussian,sigma=0.5,step=8)",
        ),
        Mutant(
            "gradient_not_squared",
            "impl",
            {"descend": _search_by(lambda new, old, step, square: new <= old + step * square / 4.0)},
            why="the sign of the required fall is wrong: the loss may rise",
            part="long_steps(marginal=gaussian,sigma=0.5,step=8)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="descent descends",
    plain="Every step of the descent lowers the loss by at least a quarter of its length times the squared gradient; no step raises it.",
    tex=r"L(w_{k+1})\le L(w_k)-\tfrac h4\lVert\nabla L(w_k)\rVert^2,\qquad h=\frac{\tan\angle(w_k,w_{k+1})}{\lVert\nabla L(w_k)\rVert}",
)
def losses_along_the_descent(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return losses after each step beside what the one before allows; the step is read off the angle between the iterates."""
    rows, w, step = LabelledRows(inst.X, inst.y), inst.w, inst.step * inst.sigma
    losses, allowed = [], []
    for _ in range(_STEPS):
        before, gradient = rows.loss(w, inst.sigma)
        found = impl.descend(rows, w, inst.sigma, _TOL, 1, step)
        along = float(found.w @ w)
        tangent = float(np.linalg.norm(found.w - along * w)) / along if along > 0.0 else math.inf
        fall = tangent * float(np.linalg.norm(gradient)) / 4.0
        losses.append(rows.loss(found.w, inst.sigma)[0])
        allowed.append(before - min(fall, 1.0))
        w, step = found.w, found.step
    return Outcome(np.array(losses), np.array(allowed))


# --- what is reported -----------------------------------------------------------------------------------------------------------------


def _rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = planted(rng, {"n": 400, "noise": "rcn", "rate": 0.1, **point})
    return Instance({"max_iter": point.get("max_iter", 200)}, {"X": made.X, "y": made.y, "widths": np.array([1.0, 0.3])})


def _of_half_the_rows(learn: Learn) -> Learn:
    return lambda X, y, **options: learn(X[::2], y[::2], **options)


def _relabelled(old: str, new: Any) -> Callable[[Learn], Learn]:
    def mutate(learn: Learn) -> Learn:
        def wrong(X: FloatArray, y: FloatArray, **options: Any) -> RampPath:
            path = learn(X, y, **options)
            return replace(path, candidates=tuple(replace(c, status=new) if c.status == old else c for c in path.candidates))

        return wrong

    return mutate


@cat.identity(
    "HS-03a",
    budget=FloatBudget(
        k=lambda inst, out: 2 * inst.X.shape[0] + 8 * inst.X.shape[1] + 64,
        scale=lambda inst, out: 1.0 + float(np.max(np.linalg.norm(inst.X, axis=1))) / float(np.min(inst.widths)),
        why="sums over n rows in another order; a margin is rounded at the size of the row, weighed in units of the width",
    ),
    impl={"ramp_path": ramp_path},
    families=[
        Family("typical", _rows, grid=tuple({"marginal": name} for name in TYPICAL)),
        Family(
            "adversarial",
            _rows,
            grid=tuple({"marginal": name} for name in (*ADVERSARIAL, "hidden_cluster")),
            role="adversarial",
        ),
        Family("stopped", _rows, grid=tuple({"marginal": "gaussian", "max_iter": m} for m in (1, 2)), role="adversarial"),
        Family("more_rows_than_are_explored", _rows, grid=({"marginal": "gaussian", "n": 51_000, "d": 2},), role="adversarial"),
    ],
    trials={"quick": 1},
    mutants=[
        Mutant(
            "gradient_of_half",
            "impl",
            {"ramp_path": _of_half_the_rows},
            why="loss, gradient and mistakes are those of the rows on which the starts were compared",
            part="typical(marginal=gaussian)",
        ),
        Mutant(
            "empty_band_not_named",
            "impl",
            {"ramp_path": _relabelled("stalled_empty_band", "converged")},
            why="a gradient that is zero because no row is near is taken for a stationary point",
            part="adversarial(marginal=hidden_cluster)",
        ),
        Mutant(
            "limit_not_named",
            "impl",
            {"ramp_path": _relabelled("max_iter", "converged")},
            why="a descent that ran out of steps is called converged",
            part="stopped(marginal=gaussian,max_iter=1)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="what a candidate reports",
    plain="Loss, gradient norm and mistakes of every candidate are those of all learning rows, and its status says whether the gradient is "
    "within the tolerance, the band is empty, the steps ran out, or no step helps.",
)
def reports_of_candidates(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return what each candidate reports beside plain sums over all rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = impl.ramp_path(
            inst.X, inst.y, sigmas=inst.widths, n_restarts=1, max_iter=inst.max_iter, tol=_TOL, random_state=int(rng.integers(2**31))
        )
    pairs = [_report(inst, candidate) for candidate in path]
    return Outcome(np.concatenate([found for found, _ in pairs]), np.concatenate([plain for _, plain in pairs]))


def _report(inst: Instance, c: Candidate) -> tuple[FloatArray, FloatArray]:
    t = inst.X @ c.w
    psi = bounds.ramp_density(margin=t, sigma=c.sigma) * inst.y
    norm = float(np.linalg.norm(psi @ (inst.X - np.outer(t, c.w)))) / t.size
    loss = float(np.mean(bounds.ramp(margin=-inst.y * t, sigma=c.sigma)))
    wrong = int(np.count_nonzero((t >= 0.0) != (inst.y > 0.0)))
    empty = not np.any(np.abs(t) <= c.sigma / 2.0)
    rightly = {
        "converged": c.gradient_norm <= _TOL and not empty,
        "stalled_empty_band": c.gradient_norm == 0.0 and empty,
        "max_iter": c.n_iter == inst.max_iter and c.gradient_norm > _TOL,
        "stalled": c.gradient_norm > _TOL,
    }
    return np.array([c.loss, c.gradient_norm, c.n_mistakes / t.size, 1.0]), np.array([loss, norm, wrong / t.size, float(rightly[c.status])])
