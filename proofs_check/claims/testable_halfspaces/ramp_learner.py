"""Claims about the ramp loss: the shape of the ramp, its limits on Gaussian rows, and its derivatives on the sphere."""

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
Formula = Callable[..., FloatArray]

_SIXTH, _HALF = 1.0 / 6.0, 0.5
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)  # exact to degree 19 on each smooth piece


def _integral(f: Callable[[FloatArray], FloatArray], low: float, high: float) -> float:
    return float(0.5 * (high - low) * (_WEIGHTS @ f(0.5 * (high - low) * (_NODES + 1.0) + low)))


def _over_pieces(f: Callable[[FloatArray], FloatArray], low: float, high: float, sigma: float) -> float:
    """Integrate over [low, high], 0 <= low <= high, piece by piece."""
    edges = np.clip([low, _SIXTH * sigma, _HALF * sigma, high], low, max(low, high))
    return sum(_integral(f, a, b) for a, b in pairwise(edges))


# --- the shape of the ramp ------------------------------------------------------------------------------------------------------------


def _margins(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    sigma = point["sigma"]
    return Instance({"sigma": sigma}, {"t": sigma * rng.uniform(-0.7, 0.7, 5)})


def _joints(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Put margins on the joints and on the floats beside them."""
    joints = point["sigma"] * np.array([_SIXTH, _HALF])
    near = np.concatenate([joints, np.nextafter(joints, 0.0), np.nextafter(joints, np.inf)])
    return Instance({"sigma": point["sigma"]}, {"t": np.concatenate([near, -near, [0.0]])})


def _decoded_margins(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    sigma = 10.0 ** (100.0 * float(np.tanh(0.1 * x[0])))
    return Instance({"sigma": sigma}, {"t": sigma * x[1:]})


def _lower_plateau(f: Formula) -> Formula:
    """Multiply by two thirds: the plateau is 1 / sigma high."""
    return lambda *, margin, sigma: np.asarray(f(margin=margin, sigma=sigma) / 1.5)


def _density_by(shape: Callable[[FloatArray], FloatArray]) -> Callable[[Formula], Formula]:
    def mutate(density: Formula) -> Formula:
        return lambda *, margin, sigma: np.asarray(1.5 / sigma * shape(np.abs(np.asarray(margin)) / sigma))

    return mutate


def _late_joint(a: FloatArray) -> FloatArray:
    r = np.clip(6.0 * a - 2.0, 0.0, 1.0)
    return np.asarray(1.0 - 3.0 * r**2 + 2.0 * r**3)


def _flat_cubic(a: FloatArray) -> FloatArray:
    r = np.clip(3.0 * a - 0.5, 0.0, 1.0)
    return np.asarray(1.0 - 2.0 * r**2 + r**3)


def _short_quartic(f: Formula) -> Formula:
    def wrong(*, margin: Any, sigma: float) -> FloatArray:
        a = np.abs(margin) / sigma
        r = np.clip(3.0 * a - 0.5, 0.0, 1.0)
        return np.asarray(0.5 + np.sign(margin) * (1.5 * np.minimum(a, _SIXTH) + 0.5 * (r - r**3)))

    return wrong


@cat.identity(
    "HS-01",
    budget=FloatBudget(
        k=64,
        scale=27.0,
        why="some twenty operations for each value and ten for each integral; the second derivative is formed at the size 27 / sigma^2",
    ),
    impl={"ramp": bounds.ramp, "density": bounds.ramp_density, "slope": bounds.ramp_density_slope},
    families=[
        Family("typical", _margins, grid=tuple({"sigma": sigma} for sigma in (0.03, 0.25, 1.0))),
        Family("joints", _joints, grid=tuple({"sigma": sigma} for sigma in (1e-6, 0.3, 1.0, 1e6)), role="adversarial"),
        Family(
            "searched",
            lambda rng, point: _decoded_margins(rng.standard_normal(3), point),
            role="adversarial",
            search=SearchSpace(lambda point: 3, _decoded_margins),
        ),
    ],
    trials={"quick": 4},
    budgets=searched(4, 200),
    mutants=[
        Mutant(
            "slope_one_over_sigma",
            "impl",
            {"ramp": lambda f: lambda **k: np.asarray(0.5 + (f(**k) - 0.5) / 1.5), "density": _lower_plateau, "slope": _lower_plateau},
            why="the plateau is 1 / sigma high instead of 3 / (2 sigma), in all three functions alike",
            part="typical(sigma=1)",
        ),
        Mutant(
            "joint_at_a_third",
            "impl",
            {"density": _density_by(_late_joint)},
            why="the plateau ends at sigma / 3",
            part="typical(sigma=1)",
        ),
        Mutant(
            "cubic_with_other_factors",
            "impl",
            {"density": _density_by(_flat_cubic)},
            why="1 - 2 r^2 + r^3 joins the same ends, but not with slope zero and mean one half",
            part="typical(sigma=1)",
        ),
        Mutant(
            "quartic_term_lost",
            "impl",
            {"ramp": _short_quartic},
            why="the last term of the integral of the cubic is forgotten",
            part="typical(sigma=1)",
        ),
        Mutant(
            "slope_of_the_distance",
            "impl",
            {"slope": lambda f: lambda *, margin, sigma: -np.abs(f(margin=margin, sigma=sigma))},
            why="the derivative by |t| is taken for that by t: right on one side only",
            part="typical(sigma=1)",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Surrogate loss"),
    title="the shape of the ramp",
    plain="The density of the ramp has integral one and is the derivative of the ramp; the ramp is symmetric about one half and twice "
    "continuously differentiable, and the density's steepest slope is 27/4 over sigma squared.",
    tex=r"\int\psi_\sigma=1,\ \ell_\sigma'=\psi_\sigma,\ \ell_\sigma(-t)=1-\ell_\sigma(t),\ \max|\psi_\sigma'|=\frac{27}{4\sigma^2}",
)
def shape_of_the_ramp(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the three functions beside integrals of their derivatives, all in units of the width."""
    sigma, t = inst.sigma, inst.t

    def density(x: FloatArray) -> FloatArray:
        return np.asarray(impl.density(margin=x, sigma=sigma))

    def slope(x: FloatArray) -> FloatArray:
        return np.asarray(impl.slope(margin=x, sigma=sigma))

    edge, joints = _HALF * sigma, sigma * np.array([_SIXTH, _HALF])
    areas = np.array([_over_pieces(density, 0.0, abs(x), sigma) for x in t])
    # the slope is integrated on the side of t, so that its sign counts
    falls = np.array(
        [_over_pieces(lambda s, x=x: (1.0 if x >= 0 else -1.0) * slope(s if x >= 0 else -s), abs(x), max(edge, abs(x)), sigma) for x in t]
    )
    steepest = np.abs(slope(sigma * np.linspace(-0.5, 0.5, 13)))  # 1/3 is one of them
    pieces = [
        ([2.0 * _over_pieces(density, 0.0, edge, sigma)], [1.0]),
        (impl.ramp(margin=t, sigma=sigma), 0.5 + np.sign(t) * areas),
        (density(t) * sigma, -falls * sigma),
        (impl.ramp(margin=t, sigma=sigma) + impl.ramp(margin=-t, sigma=sigma), np.ones(t.size)),
        ([steepest.max() * sigma * sigma], [27.0 / 4.0]),
        (slope(np.concatenate([joints, -joints])) * sigma * sigma, np.zeros(4)),
    ]
    return Outcome(np.concatenate([value for value, _ in pieces]), np.concatenate([other for _, other in pieces]))


# --- Gaussian rows --------------------------------------------------------------------------------------------------------------------

_WEIGHED = ("m0", "B", "N2", "M2", "K4")


Limits = Callable[..., dict[str, float]]


def _changed(name: str, factor: float) -> Callable[[Limits], Limits]:
    def mutate(limits: Limits) -> Limits:
        return lambda *, sigma: {**limits(sigma=sigma), name: factor * limits(sigma=sigma)[name]}

    return mutate


@cat.inequality(
    "HS-01a",
    budget=FloatBudget(k=100, scale=lambda inst, out: np.abs(out.reference), why="sums over 20 nodes of values with ten roundings each"),
    impl={"limits": bounds.gaussian_band_moments, "density": bounds.ramp_density},
    families=[
        Family("wide", grid=tuple({"sigma": sigma} for sigma in (0.1, 0.5, 1.0))),
        # nothing is left of the bracket but rounding
        Family("narrow", grid=tuple({"sigma": sigma} for sigma in (1e-8, 1e-4, 1e-2)), role="adversarial"),
    ],
    tight=0.999,
    trials={"quick": 1},
    mutants=[
        Mutant(
            "rounded_constant",
            "impl",
            {"limits": _changed("B", 0.07 / 0.0698)},
            why="the mean weighted margin is taken from a table with two digits",
            part="narrow(sigma=0.01)",
        ),
        Mutant(
            "mean_instead_of_square",
            "impl",
            {"limits": lambda f: lambda *, sigma: {**f(sigma=sigma), "N2": 1.5 / sigma * f(sigma=sigma)["m0"]}},
            why="the peak of the density is taken for its weighted mean",
            part="narrow(sigma=0.01)",
        ),
        Mutant(
            "second_for_fourth",
            "impl",
            {"limits": _changed("K4", 1.0 / 3.0)},
            why="the fourth moment of a standard Gaussian taken for 1",
            part="narrow(sigma=0.01)",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Surrogate loss"),
    title="the band of Gaussian rows",
    plain="For standard Gaussian rows the statistics of a band lie between their limit for narrow bands and that limit times one minus "
    "sigma squared over eight.",
    tex=r"\left(1-\tfrac{\sigma^2}{8}\right)\kappa\le \mathbb E\,f(t)\le\kappa",
)
def band_of_gaussian_rows(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return statistics by quadrature with the Gaussian density, and the lower ends, beside the limits and the statistics."""
    sigma = inst.sigma

    def mean(f: Callable[[FloatArray, FloatArray], FloatArray]) -> float:
        def integrand(t: FloatArray) -> FloatArray:
            return np.asarray(f(impl.density(margin=t, sigma=sigma), t) * np.exp(-0.5 * t * t) / np.sqrt(2.0 * np.pi))

        return 2.0 * _over_pieces(integrand, 0.0, _HALF * sigma, sigma)

    weight = mean(lambda psi, t: psi)
    exact = np.array([weight, mean(lambda psi, t: psi * t), mean(lambda psi, t: psi**2), weight, 3.0 * weight])
    limits = impl.limits(sigma=sigma)
    limit = np.array([limits[name] for name in _WEIGHED])
    return Outcome(np.concatenate([exact, limit * (1.0 - sigma**2 / 8.0)]), np.concatenate([limit, exact]))


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
