"""Claims about single-row descent of the ramp loss, on Gaussian rows whose population loss and gradient are integrals."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from algos.testable_halfspaces import bounds
from algos.testable_halfspaces._kernels import psgd_rows
from proofs_check import Catalogue, Family, FloatBudget, Instance, Margin, Mutant, Outcome, Source
from proofs_check.claims.testable_halfspaces._problems import ADVERSARIAL, TYPICAL, planted, random_direction

cat = Catalogue("testable_halfspaces/ramp_learner")

FloatArray = npt.NDArray[np.float64]

_PROOF = "docs/theory/testable_halfspaces.md, Descent on the sphere"

# --- row by row -----------------------------------------------------------------------------------------------------------------------

_CHECKPOINTS = 64
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_LEAST = 1.0 / math.pi**2  # of squared gradients: |E psi y <v, x>| <= E psi E|N| <= 2 / (2 pi)


@dataclass(frozen=True)
class _Population:
    """Loss and gradient of Gaussian rows with labels flipped at one rate: functions of the angle to the planted normal."""

    sigma: float
    eta: float

    def _nodes(self, ends: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
        pairs = [(0.5 * (b - a) * (_NODES + 1.0) + a, 0.5 * (b - a) * _WEIGHTS) for a, b in pairwise(ends)]
        t, weight = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        return t, weight * 2.0 * _density(t)

    def gradient(self, cot: FloatArray) -> FloatArray:
        """Length of the gradient at angles with these cotangents."""
        t, weight = self._nodes((0.0, self.sigma / 6.0, self.sigma / 2.0))
        psi = bounds.ramp_density(margin=t, sigma=self.sigma)
        return np.asarray((1.0 - 2.0 * self.eta) * (2.0 * _density(np.outer(cot, t)) @ (weight * psi)))

    def loss(self, cot: float) -> float:
        t, weight = self._nodes((0.0, self.sigma / 6.0, self.sigma / 2.0, 1.0, 2.0, 4.0, 9.0))
        right = self.eta + (1.0 - 2.0 * self.eta) * ndtr(cot * t)
        low, high = bounds.ramp(margin=-t, sigma=self.sigma), bounds.ramp(margin=t, sigma=self.sigma)
        return float(weight @ (right * low + (1.0 - right) * high))


def _density(t: FloatArray) -> FloatArray:
    return np.asarray(bounds.DENSITY_AT_ZERO * np.exp(-0.5 * t * t))


def _step(*, lipschitz: float, variance: float, steps: int) -> float:
    """Step length of the theory for a loss in [0, 1]."""
    return min(1.0 / lipschitz, math.sqrt(2.0 / (lipschitz * variance * steps)))


def _constants(sigma: float, n_features: int) -> tuple[float, float]:
    return bounds.gradient_lipschitz(sigma=sigma), bounds.gradient_variance(sigma=sigma, n_features=n_features)


def _least_gradient(*, sigma: float, n_features: int, steps: int) -> float:
    """Bound on the mean squared gradient over the steps."""
    lipschitz, variance = _constants(sigma, n_features)
    return bounds.descent_gradient_bound(lipschitz=lipschitz, variance=variance, steps=steps)


def _walk(inst: Instance, rng: np.random.Generator, kernel: Any, step: float) -> tuple[float, float, float]:
    """Walk over fresh rows; return the loss at both ends and the mean squared gradient over the steps, by points at a random offset."""
    d, steps = inst.n_features, inst.steps
    target, w = np.eye(d)[0], random_direction(rng, d)
    y = np.empty(steps)
    X = rng.standard_normal((steps, d))
    np.copyto(y, np.where((X[:, 0] >= 0.0) != (rng.random(steps) < inst.eta), 1.0, -1.0))
    stride = steps // _CHECKPOINTS
    offset = int(rng.integers(stride))
    kept = np.empty((_CHECKPOINTS + 1, d))
    current = w.copy()
    stored = kernel(X, y, current, inst.sigma, step, offset if offset else stride, stride, kept)
    points = kept[:stored] if offset else np.vstack([w, kept[:stored]])
    population = _Population(inst.sigma, inst.eta)
    points = points[:_CHECKPOINTS]
    gradients = population.gradient(_cotangent(points, target))
    before, after = (population.loss(float(_cotangent(v[None], target)[0])) for v in (w, current))
    return before, after, float(np.mean(gradients**2))


def _cotangent(points: FloatArray, target: FloatArray) -> FloatArray:
    along = points @ target
    return np.asarray(along / np.maximum(np.linalg.norm(points - np.outer(along, target), axis=1), 1e-12))


def _uphill(kernel: Any) -> Any:
    return lambda X, y, w, sigma, step, first, stride, kept: kernel(X, -y, w, sigma, step, first, stride, kept)


@cat.expectation(
    "HS-04",
    bound=_least_gradient,
    envelope=(0.0, _LEAST),
    margin=Margin("add", 0.01, why="a tenth of the largest squared gradient there is"),
    impl={"psgd_rows": psgd_rows, "step": _step},
    families=[
        Family(
            "gaussian",
            grid=tuple(
                {"sigma": sigma, "n_features": d, "steps": steps, "eta": eta}
                for sigma, d, steps, eta in ((1.0, 3, 6400, 0.0), (1.0, 3, 6400, 0.2), (1.0, 4, 12_800, 0.0))
            ),
        ),
    ],
    block=16,
    trials={"quick": 320, "full": 2048, "nightly": 20_000},
    companions=("HS-04a", "HS-04b"),
    mutants=[
        Mutant(
            "constant_step",
            "impl",
            {"step": lambda f: lambda *, lipschitz, variance, steps: 1.0 / lipschitz},
            why="the step does not shrink with the number of steps",
            part="gaussian(*n_features=4*",
            killers=("HS-04",),
        ),
        Mutant(
            "too_short",
            "impl",
            {"step": lambda f: lambda *, lipschitz, variance, steps: 0.1 / steps},
            why="the step shrinks like 1 / T: the walk ends before it gets anywhere",
            part="gaussian(*n_features=4*",
            killers=("HS-04",),
        ),
        Mutant(
            "deterministic_rate",
            "bound",
            lambda f: (
                lambda *, sigma, n_features, steps: bounds.descent_gradient_bound(
                    lipschitz=bounds.gradient_lipschitz(sigma=sigma), variance=0.0, steps=steps
                )
            ),
            why="the noise of single rows is forgotten",
            part="gaussian(*n_features=4*",
        ),
    ],
    blind_to=("ascent: gradients vanish at the worst point, too; HS-04a sees it", "an iterate that is not normalised; HS-04b sees it"),
    source=Source("derived", proof=_PROOF),
    title="single-row steps find a flat place",
    plain="Over T single-row steps of the stated length the squared gradient of the population is on average at most the stated bound, so "
    "that one of the iterates is as flat.",
    tex=r"\frac1T\sum_{t<T}\mathbb{E}\lVert\nabla L(w_t)\rVert^2\le\frac{2\Lambda}{T}+2\sqrt{\frac{2\Lambda V}{T}}",
)
def flatness_of_the_iterates(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the mean squared gradient over the steps."""
    lipschitz, variance = _constants(inst.sigma, inst.n_features)
    return _walk(inst, rng, impl.psgd_rows, impl.step(lipschitz=lipschitz, variance=variance, steps=inst.steps))[2]


def _noise_of_steps(*, sigma: float, n_features: int, steps: int, share: float) -> float:
    r"""Return :math:`\Lambda\beta^2VT/2` for a step that is a share of the one of the theory: the share squared while it is below 1/L."""
    lipschitz, variance = _constants(sigma, n_features)
    step = share * _step(lipschitz=lipschitz, variance=variance, steps=steps)
    return 0.5 * lipschitz * step**2 * variance * steps


@cat.expectation(
    "HS-04a",
    bound=_noise_of_steps,
    envelope=(-1.0, 5.0),
    margin=Margin("add", 0.2, why="a fifth of the largest change of the loss"),
    impl={"psgd_rows": psgd_rows},
    families=[
        Family(
            "gaussian",
            grid=tuple(
                {"sigma": 1.0, "n_features": 3, "steps": steps, "eta": eta, "share": share}
                for steps, eta, share in ((6400, 0.0, 0.1), (6400, 0.2, 0.3), (6400, 0.0, 0.5))
            ),
            role="adversarial",
        ),
    ],
    block=16,
    trials={"quick": 800, "full": 4096, "nightly": 20_000},
    companions=("HS-04b",),
    mutants=[
        Mutant(
            "uphill",
            "impl",
            {"psgd_rows": _uphill},
            why="the step has the other sign",
            part="gaussian(*share=0.1)",
            killers=("HS-04a",),
        ),
        Mutant(
            "noise_of_one_step",
            "bound",
            lambda f: lambda *, sigma, n_features, steps, share: f(sigma=sigma, n_features=n_features, steps=steps, share=share) / steps,
            why="the noise is that of one step, not of all",
            part="gaussian(*share=0.5)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the descent lemma for single-row steps",
    plain="The loss after T single-row steps, plus the sum of the squared gradients met on the way times the step, exceeds the loss at the "
    "start on average by at most the noise of the steps.",
    tex=r"\mathbb{E}\Bigl[L(w_T)-L(w_0)+\beta\bigl(1-\tfrac{\Lambda\beta}{2}\bigr)\sum_t\lVert\nabla L(w_t)\rVert^2\Bigr]"
    r"\le\tfrac12\Lambda\beta^2VT",
)
def loss_and_way(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the left side of the descent lemma."""
    lipschitz, variance = _constants(inst.sigma, inst.n_features)
    step = inst.share * _step(lipschitz=lipschitz, variance=variance, steps=inst.steps)
    before, after, square = _walk(inst, rng, impl.psgd_rows, step)
    return float(after - before + step * (1.0 - lipschitz * step / 2.0) * inst.steps * square)


def _few_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = planted(rng, {"n": 40, "noise": "rcn", "rate": 0.1, **point})
    return Instance({"sigma": point["sigma"], "step": 0.05}, {"X": made.X, "y": made.y, "w": random_direction(rng, made.w.size)})


def _recursion(*, sign: float = 1.0, unit: bool = True, project: bool = True) -> Callable[[Any], Any]:
    def mutate(kernel: Any) -> Any:
        def wrong(X: FloatArray, y: FloatArray, w: FloatArray, sigma: float, step: float, first: int, stride: int, kept: FloatArray) -> int:
            for i, (x, label) in enumerate(zip(X, y, strict=True)):
                t = float(x @ w)
                w += sign * step * label * bounds.ramp_density(margin=t, sigma=sigma) * (x - t * w if project else x)
                w /= np.linalg.norm(w) if unit else 1.0
                kept[i] = w
            return len(X)

        return wrong

    return mutate


@cat.identity(
    "HS-04b",
    budget=FloatBudget(
        k=lambda inst, out: 4 * inst.X.shape[1] + 64,
        scale=lambda inst, out: (1.0 + float(np.max(np.abs(inst.X))) / inst.sigma) ** 2,
        why="sums over d columns; the rounding of a margin, at the size of the row, is enlarged by the slope of the density over the width "
        "squared and by the row again",
    ),
    impl={"psgd_rows": psgd_rows},
    families=[
        Family("typical", _few_rows, grid=tuple({"marginal": name, "sigma": 1.0} for name in TYPICAL)),
        Family("adversarial", _few_rows, grid=tuple({"marginal": name, "sigma": 0.3} for name in ADVERSARIAL), role="adversarial"),
    ],
    trials={"quick": 2},
    mutants=[
        Mutant(
            "uphill", "impl", {"psgd_rows": _recursion(sign=-1.0)}, why="the step has the other sign", part="typical(marginal=gaussian*"
        ),
        Mutant(
            "not_normalised",
            "impl",
            {"psgd_rows": _recursion(unit=False)},
            why="iterates leave the sphere",
            part="typical(marginal=gaussian*",
        ),
        Mutant(
            "not_projected",
            "impl",
            {"psgd_rows": _recursion(project=False)},
            why="the part of the row along w is not taken out",
            part="typical(marginal=gaussian*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="a single-row step",
    plain="The compiled descent visits the points of the recursion: a step along the row's gradient, then back to the sphere.",
    tex=r"w\leftarrow\frac{w-\beta g_i(w)}{\lVert w-\beta g_i(w)\rVert},\qquad g_i(w)=-\psi(t_i)\,y_i\,(x_i-t_iw)",
)
def points_of_the_recursion(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return where the kernel steps from each point of a walk, beside where plain arrays step."""
    current, plain_step = inst.w, _recursion()(None)
    walked, plain = [], []
    for i in range(len(inst.y)):  # both take each step from the same point: over many steps rounding would grow
        row, label, ends = inst.X[i : i + 1], inst.y[i : i + 1], np.empty((2, 1, current.size))
        for kernel, end in zip((impl.psgd_rows, plain_step), ends, strict=True):
            kernel(row, label, current.copy(), inst.sigma, inst.step, 1, 1, end)
        walked.append(ends[0, 0])
        plain.append(ends[1, 0])
        current = ends[1, 0]
    return Outcome(np.concatenate(walked), np.concatenate(plain))
