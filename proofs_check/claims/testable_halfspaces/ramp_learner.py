"""Claims about the ramp: its shape, and the statistics of a band of Gaussian rows."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import bounds
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._problems import searched

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


def _on_side(slope: Callable[[FloatArray], FloatArray], side: float) -> Callable[[FloatArray], FloatArray]:
    return lambda x: np.asarray(side * slope(side * x))


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
    sides = np.where(t >= 0.0, 1.0, -1.0)
    falls = np.array([_over_pieces(_on_side(slope, side), abs(x), max(edge, abs(x)), sigma) for x, side in zip(t, sides, strict=True)])
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


def _peak_for_mean(limits: Limits) -> Limits:
    def wrong(*, sigma: float) -> dict[str, float]:
        found = limits(sigma=sigma)
        return {**found, "N2": bounds.ramp_peak(sigma=sigma) * found["m0"]}

    return wrong


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
            {"limits": _peak_for_mean},
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
    tex=r"\left(1-\tfrac{\sigma^2}{8}\right)\kappa\le \mathbb{E}\,f(t)\le\kappa",
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
