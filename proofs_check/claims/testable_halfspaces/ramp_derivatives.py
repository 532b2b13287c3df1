"""Claims about the derivatives of the ramp loss on the sphere, each against an integral of it along an arc."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import bounds
from algos.testable_halfspaces.ramp_learner import ramp_loss
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._problems import ADVERSARIAL, TYPICAL, planted, random_direction, searched

cat = Catalogue("testable_halfspaces/ramp_learner")

FloatArray = npt.NDArray[np.float64]

_SIXTH, _HALF = bounds.FLAT_SHARE, bounds.HALF_WIDTH
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)  # exact to rounding on each smooth piece of an arc

# --- derivatives on the sphere --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Loss:
    """Value, gradient and Hessian product by plain formulas, each of which a mutant may spoil."""

    X: FloatArray
    y: FloatArray
    w: FloatArray
    sigma: float
    labels: bool = True
    turning: bool = True
    sign: bool = True
    unit: bool = True
    project: bool = True

    def _margin(self) -> FloatArray:
        return np.asarray(self.X @ self.w) / (np.linalg.norm(self.w) if self.unit else 1.0)

    @property
    def value(self) -> float:
        return float(np.mean(bounds.ramp(margin=-self.y * self._margin(), sigma=self.sigma)))

    @property
    def gradient(self) -> FloatArray:
        t, length = self._margin(), float(np.linalg.norm(self.w))
        psi = bounds.ramp_density(margin=t, sigma=self.sigma) * (self.y if self.labels else 1.0)
        across = self.X - np.outer(t, self.w / length) if self.project else self.X
        return np.asarray(-(psi @ across) / self.y.size / length)

    def hessian_product(self, u: FloatArray) -> FloatArray:
        t = self._margin()
        slope = self.y * bounds.ramp_density_slope(margin=t, sigma=self.sigma) * (1.0 if self.sign else -np.sign(t))
        turn = self.y * bounds.ramp_density(margin=t, sigma=self.sigma) * t if self.turning else np.zeros(t.size)
        across = self.X - np.outer(t, self.w)
        return np.asarray(-(slope * (across @ u)) @ across / t.size + turn.mean() * u)


def _spoiled(**spoiled: bool) -> Callable[[Any], Any]:
    return lambda loss: lambda X, y, w, sigma: _Loss(np.asarray(X, dtype=np.float64), y, np.asarray(w), sigma, **spoiled)


def _arc(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Make a few rows and an arc of a great circle, with a direction orthogonal to both."""
    made = planted(rng, {"n": 8, **point})
    frame = np.linalg.qr(rng.standard_normal((made.w.size, 3)))[0].T
    arc = float(rng.uniform(0.1, 1.0))
    return Instance({"sigma": point["sigma"]}, {"X": made.X, "y": made.y, "w": frame[0], "v": frame[1], "u": frame[2], "arc": arc})


def _smooth_arcs(inst: Instance) -> list[tuple[FloatArray, FloatArray, float]]:
    """Split the arc where a row crosses a joint of the ramp; return point, velocity and weight of each node of the quadrature."""
    a, b = inst.X @ inst.w, inst.X @ inst.v
    reach, begin = np.hypot(a, b), np.arctan2(b, a)
    edges = [0.0, inst.arc]
    for level in inst.sigma * np.array([-_HALF, -_SIXTH, _SIXTH, _HALF]):
        met = reach > abs(level)
        half = np.arccos(level / reach[met])
        crossings = np.concatenate([begin[met] - half, begin[met] + half]) % (2.0 * np.pi)
        edges += crossings[crossings < inst.arc].tolist()
    edges.sort()
    found = []
    for low, high in pairwise(edges):
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            angle = 0.5 * (high - low) * (node + 1.0) + low
            found.append((*_on_circle(inst, angle), 0.5 * (high - low) * weight))
    return found


def _on_circle(inst: Instance, angle: float) -> tuple[FloatArray, FloatArray]:
    c, s = np.cos(angle), np.sin(angle)
    return c * inst.w + s * inst.v, c * inst.v - s * inst.w


def _reach(inst: Instance) -> float:
    """Longest row in units of the width: by how much the rounding of a margin is enlarged."""
    return 1.0 + float(np.max(np.linalg.norm(inst.X, axis=1))) / float(inst.sigma)


_WIDTHS = (0.2, 1.0)


def _arcs(names: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    return tuple({"marginal": name, "sigma": sigma} for name in names for sigma in _WIDTHS)


_ARC_FAMILIES = [
    Family("typical", _arc, grid=_arcs(TYPICAL)),
    Family("adversarial", _arc, grid=_arcs(ADVERSARIAL), role="adversarial"),
]


@cat.identity(
    "HS-02",
    budget=FloatBudget(
        k=200,
        scale=lambda inst, out: _reach(inst),
        why="sums over rows, columns and the nodes of a quadrature that is exact on each piece; a margin is rounded in units of the row's "
        "length, its weight in units of that over the width",
    ),
    impl={"ramp_loss": ramp_loss},
    families=_ARC_FAMILIES,
    trials={"quick": 1},
    mutants=[
        Mutant(
            "labels_dropped",
            "impl",
            {"ramp_loss": lambda f: _with_gradient(f, _spoiled(labels=False)(f))},
            why="the gradient of the unlabelled density",
            part="typical(marginal=gaussian,sigma=1)",
        ),
        Mutant(
            "half_a_density",
            "impl",
            {"ramp_loss": lambda f: _with_gradient(f, lambda X, y, w, sigma: f(X, y, w, 1.01 * sigma))},
            why="the gradient belongs to a band one hundredth wider than the loss",
            part="typical(marginal=gaussian,sigma=1)",
        ),
    ],
    companions=("HS-02b",),
    blind_to=("a part of the gradient along w: the way on the sphere does not see it; HS-02b does",),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Surrogate loss"),
    title="gradient of the ramp loss",
    plain="Along every arc of the sphere the ramp loss changes by the integral of its reported gradient.",
    tex=r"L(w_1)-L(w_0)=\int\langle\nabla L(w(\varphi)),w'(\varphi)\rangle\,d\varphi",
)
def change_of_the_loss(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the difference of two losses beside the integral of the gradient, exact on each smooth piece."""
    before, after = (impl.ramp_loss(inst.X, inst.y, _on_circle(inst, angle)[0], inst.sigma).value for angle in (0.0, inst.arc))
    way = sum(weight * (impl.ramp_loss(inst.X, inst.y, w, inst.sigma).gradient @ v) for w, v, weight in _smooth_arcs(inst))
    return Outcome(after - before, float(way))


@dataclass(frozen=True, eq=False)
class _Mixed:
    value: float
    gradient: FloatArray


def _with_gradient(right: Any, wrong: Any) -> Any:
    return lambda X, y, w, sigma: _Mixed(right(X, y, w, sigma).value, wrong(X, y, w, sigma).gradient)


@cat.identity(
    "HS-02a",
    budget=FloatBudget(
        k=200,
        scale=lambda inst, out: _reach(inst) ** 2,
        why="as for the gradient, with a second factor of the row's length over the width",
    ),
    impl={"ramp_loss": ramp_loss},
    families=_ARC_FAMILIES,
    trials={"quick": 1},
    mutants=[
        Mutant(
            "turning_term_lost",
            "impl",
            {"ramp_loss": lambda f: _with_hessian(f, _spoiled(turning=False)(f))},
            why="the term y psi t, by which the sphere bends away from the tangent, is forgotten",
            part="typical(marginal=gaussian,sigma=1)",
        ),
        Mutant(
            "slope_of_the_distance",
            "impl",
            {"ramp_loss": lambda f: _with_hessian(f, _spoiled(sign=False)(f))},
            why="the slope of the density by |t| is taken for that by t",
            part="typical(marginal=gaussian,sigma=1)",
        ),
        Mutant(
            "labels_dropped",
            "impl",
            {"ramp_loss": lambda f: _with_hessian(f, lambda X, y, w, sigma: f(X, np.ones(y.size), w, sigma))},
            why="the Hessian of rows that are all labelled +1",
            part="typical(marginal=gaussian,sigma=1)",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Surrogate loss"),
    title="Hessian of the ramp loss",
    plain="Along every arc of the sphere the gradient, seen along the arc and across it, changes by the integral of the reported Hessian.",
    tex=r"\langle\nabla L,u\rangle\big|_{w_0}^{w_1}=\int\langle H(w(\varphi))w'(\varphi),u\rangle\,d\varphi",
)
def change_of_the_gradient(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return two differences of gradients beside integrals of the Hessian: along the arc, and across it where there is room."""
    (w0, v0), (w1, v1) = _on_circle(inst, 0.0), _on_circle(inst, inst.arc)
    first, last = (impl.ramp_loss(inst.X, inst.y, w, inst.sigma).gradient for w in (w0, w1))
    way = np.zeros(2)
    for w, v, weight in _smooth_arcs(inst):
        product = impl.ramp_loss(inst.X, inst.y, w, inst.sigma).hessian_product(v)
        way += weight * np.array([product @ v, product @ inst.u])
    return Outcome(np.array([last @ v1 - first @ v0, (last - first) @ inst.u]), way)


@dataclass(frozen=True, eq=False)
class _WithHessian:
    gradient: FloatArray
    hessian_product: Callable[[FloatArray], FloatArray]


def _with_hessian(right: Any, wrong: Any) -> Any:
    return lambda X, y, w, sigma: _WithHessian(right(X, y, w, sigma).gradient, wrong(X, y, w, sigma).hessian_product)


# --- what does not matter -------------------------------------------------------------------------------------------------------------


def _scaled(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = planted(rng, {"n": point.get("n", 700), **point})
    w = random_direction(rng, made.w.size)
    return Instance({"sigma": point["sigma"], "length": point.get("length", 3.0)}, {"X": made.X, "y": made.y, "w": w})


def _rows_on_joints(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    sigma = point["sigma"]
    t = sigma * np.array([0.0, _SIXTH, -_SIXTH, _HALF, -_HALF, 0.3, -0.3, 10.0])
    X = np.column_stack([t, rng.standard_normal((t.size, 2))])
    return Instance({"sigma": sigma, "length": 0.25}, {"X": X, "y": rng.choice([-1.0, 1.0], t.size), "w": np.eye(3)[0]})


def _decoded_rows(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    n, d = point["n"], point["d"]
    w, length, sigma = x[n * (d + 1) : n * (d + 1) + d], float(np.exp(2.0 * np.tanh(x[-1]))), float(np.exp(3.0 * np.tanh(x[-2])))
    size = float(np.linalg.norm(w))
    if not size > 1e-3:
        raise ValueError("w has no direction")
    labels = np.where(x[n * d : n * (d + 1)] >= 0.0, 1.0, -1.0)
    return Instance({"sigma": sigma, "length": length}, {"X": x[: n * d].reshape(n, d), "y": labels, "w": w / size})


def _rows_size(point: Mapping[str, Any]) -> int:
    return int(point["n"] * (point["d"] + 1) + point["d"] + 2)


@cat.identity(
    "HS-02b",
    budget=FloatBudget(
        k=lambda inst, out: 2 * inst.X.shape[0] + 8 * inst.X.shape[1] + 64,
        scale=lambda inst, out: _reach(inst),
        why="sums over n rows in another order; a margin is a sum over d columns at the size of the row, weighed in units of the width",
    ),
    impl={"ramp_loss": ramp_loss},
    families=[
        Family("typical", _scaled, grid=_arcs(TYPICAL)),
        Family("adversarial", _scaled, grid=_arcs(ADVERSARIAL), role="adversarial"),
        Family("joints", _rows_on_joints, grid=tuple({"sigma": sigma} for sigma in (0.01, 0.3, 1.0)), role="adversarial"),
        Family(
            "searched",
            lambda rng, point: _decoded_rows(rng.standard_normal(_rows_size(point)), point),
            grid=({"n": 3, "d": 2},),
            role="adversarial",
            search=SearchSpace(_rows_size, _decoded_rows),
        ),
    ],
    budgets=searched(2, 300),
    mutants=[
        Mutant(
            "not_projected",
            "impl",
            {"ramp_loss": _spoiled(project=False)},
            why="the part of the gradient along w is not taken out",
            part="typical(marginal=gaussian,sigma=1)",
        ),
        Mutant(
            "margin_of_a_long_w",
            "impl",
            {"ramp_loss": _spoiled(unit=False)},
            why="margins are not divided by the length of w",
            part="typical(marginal=gaussian,sigma=1)",
        ),
        Mutant(
            "gradient_of_the_unit_vector",
            "impl",
            {"ramp_loss": lambda f: lambda X, y, w, sigma: f(X, y, w / np.linalg.norm(w), sigma)},
            why="the gradient is not divided by the length of w",
            part="typical(marginal=gaussian,sigma=1)",
        ),
        Mutant(
            "labels_dropped",
            "impl",
            {"ramp_loss": _spoiled(labels=False)},
            why="the gradient forgets the labels",
            part="typical(marginal=gaussian,sigma=1)",
        ),
    ],
    companions=("HS-02",),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Surrogate loss"),
    title="the ramp loss on the sphere",
    plain="Loss and gradient are those of the formulas in plain arrays, in double and in single precision and on the joints of the ramp; "
    "the loss does not depend on the length of w, and the gradient is orthogonal to w.",
    tex=r"L_\sigma(cw)=L_\sigma(w),\quad \nabla L_\sigma(cw)=\tfrac1c\nabla L_\sigma(w),\quad\langle\nabla L_\sigma(w),w\rangle=0",
)
def loss_by_plain_formulas(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return loss, gradient times the width over the longest row, and its part along w beside plain sums."""
    found, expected = [], []
    unit = inst.sigma / float(np.max(np.linalg.norm(inst.X, axis=1)) + inst.sigma)
    for X in (inst.X, inst.X.astype(np.float32)):
        plain = _Loss(X.astype(np.float64), inst.y, inst.w, inst.sigma)
        loss = impl.ramp_loss(X, inst.y, inst.length * inst.w, inst.sigma)
        gradient = inst.length * loss.gradient
        found += [loss.value, *(unit * gradient), unit * (gradient @ inst.w)]
        expected += [plain.value, *(unit * plain.gradient), 0.0]
    return Outcome(np.array(found), np.array(expected))
