"""Claims about certified suprema of quartic forms: they are above every direction, and exact where that can be known."""

import itertools
import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.spectral import maximize_on_sphere
from algos.testable_halfspaces.instances import make_halfspace
from algos.testable_halfspaces.quartic_forms import quartic_gram, quartic_sup_bound, spectral_supremum, spectral_value, svec
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._oracles import circle_maximum, few_evaluations
from proofs_check.claims.testable_halfspaces._problems import MARGINALS

cat = Catalogue("testable_halfspaces/quartic_forms")

FloatArray = npt.NDArray[np.float64]
Supremum = Callable[..., Any]

_PROOF = "docs/theory/testable_halfspaces.md, Certified supremum of a quartic form"


# --- forms --------------------------------------------------------------------------------------------------------------------------

_SIGNS: dict[str, Callable[[FloatArray], FloatArray]] = {"positive": np.abs, "negative": lambda c: -np.abs(c), "mixed": lambda c: c}


def _weighted_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    n, k = point.get("n", 120), point["k"]
    X = make_halfspace(n, k, noise="none", random_state=rng, **MARGINALS[point["marginal"]]).X if k > 1 else rng.standard_t(2.0, (n, 1))
    return Instance({"k": k}, {"X": X, "c": _SIGNS[point["weights"]](rng.standard_normal(n))})


def _decoded_form(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    n = point["n"]
    return Instance({"k": 2}, {"X": x[: 2 * n].reshape(n, 2), "c": x[2 * n :]})


def _few_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return _decoded_form(rng.standard_normal(3 * point["n"]), point)


def _forms(sizes: tuple[int, ...], marginals: tuple[str, ...], weights: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    return tuple({"k": k, "marginal": name, "weights": sign} for k in sizes for name in marginals for sign in weights)


def _size(inst: Instance) -> float:
    """Largest value that the form could have if every row pointed the same way."""
    return float(np.abs(inst.c) @ np.sum(inst.X**2, axis=1) ** 2) / len(inst.X)


def _largest(inst: Instance, rng: np.random.Generator) -> float:
    """Largest value of the form that is found: the maximum in two variables, else by shifted power iterations, whose value never falls."""
    X, c, n = inst.X, inst.c, len(inst.X)
    if inst.k == 2:
        return _on_the_circle(X, c)
    V = np.vstack([rng.standard_normal((20, inst.k)), np.eye(inst.k), X[:8] + 1e-9])
    V /= np.linalg.norm(V, axis=1)[:, None]
    shift = 3.0 * float(np.maximum(-c, 0.0) @ np.sum(X**2, axis=1) ** 2) / n + 1e-12
    for _ in range(30):
        V = ((X @ V.T) ** 3 * c[:, None]).T @ X / n + shift * V
        V /= np.maximum(np.linalg.norm(V, axis=1), 1e-300)[:, None]
    return float(np.max(c @ (X @ V.T) ** 4)) / n


def _on_the_circle(X: FloatArray, c: FloatArray) -> float:
    """Maximise a binary quartic: with x = r (cos a, sin a), (r cos(s - a))^4 = r^4 (3 + 4 cos 2(s - a) + cos 4(s - a)) / 8."""
    weight = c * np.sum(X**2, axis=1) ** 2 / (8.0 * len(X))
    angle = np.arctan2(X[:, 1], X[:, 0])
    first = 4.0 * float(weight @ np.cos(2.0 * angle)), 4.0 * float(weight @ np.sin(2.0 * angle))
    second = float(weight @ np.cos(4.0 * angle)), float(weight @ np.sin(4.0 * angle))
    return circle_maximum(3.0 * float(weight.sum()), first, second)


# --- mistakes -----------------------------------------------------------------------------------------------------------------------


def _form(X: FloatArray, c: FloatArray, off_diagonal: float = math.sqrt(2.0)) -> FloatArray:
    i, j = np.triu_indices(X.shape[1])
    F = X[:, i] * X[:, j] * np.where(i == j, 1.0, off_diagonal)
    return np.asarray((F * c[:, None]).T @ F / len(X))


def _value(rule: Callable[[FloatArray, int], float], off_diagonal: float = math.sqrt(2.0)) -> Callable[[Supremum], Supremum]:
    """Make a supremum that reads another number off the matrix of the form."""
    return lambda supremum: lambda X, c: SimpleNamespace(value=rule(_form(X, c, off_diagonal), X.shape[1]))


def _normalised_identity(omega: FloatArray, k: int) -> float:
    e = svec(np.eye(k)) / math.sqrt(k)
    return float(e @ omega @ e)


def _smallest_eigenvalue(omega: FloatArray, k: int) -> float:
    e = svec(np.eye(k))
    lam = spectral_supremum(omega, k)[1]
    return lam + float(np.linalg.eigvalsh(omega - lam * np.outer(e, e))[0])


def _without_cross_terms(omega: FloatArray, k: int) -> float:
    """Maximise over the sphere without the linear part that comes from the fixed component along e."""
    if k == 1:
        return 0.0
    e = svec(np.eye(k))
    P = np.eye(e.size) - np.outer(e, e) / k
    best = maximize_on_sphere(P @ omega @ P, np.zeros(e.size), math.sqrt(1.0 - 1.0 / k))
    return float(e @ omega @ e) / k**2 + best.value


_NO_ROOT = Mutant(
    "no_root_two",
    "impl",
    {"supremum": _value(lambda omega, k: spectral_supremum(omega, k)[0], 1.0)},
    why="off-diagonal features are not multiplied by the root of two",
    part="*(k=6,*",
)
_SPECTRAL = FloatBudget(
    k=lambda inst, out: 2000 + 20 * inst.k**2 + len(inst.X),
    scale=lambda inst, out: _size(inst),
    why="eigenvalues of a matrix of order k^2 / 2, sums over rows, and in the hard case a multiplier that stays 1e-13 of the size above",
)


# --- the supremum -------------------------------------------------------------------------------------------------------------------


@cat.inequality(
    "HS-07",
    budget=_SPECTRAL,
    impl={"supremum": quartic_sup_bound},
    families=[
        Family("typical", _weighted_rows, grid=_forms((1, 2, 6), ("gaussian",), ("positive", "negative", "mixed"))),
        Family("adversarial", _weighted_rows, grid=_forms((2, 4, 6), ("t1.5", "cube"), ("positive", "mixed")), role="adversarial"),
        Family(
            "searched",
            _few_rows,
            grid=({"n": 2}, {"n": 4}),
            role="adversarial",
            search=SearchSpace(lambda p: 3 * p["n"], _decoded_form, shapes=lambda p: ((p["n"], 2), (p["n"],))),
        ),
    ],
    tight=0.999999,
    budgets=few_evaluations((2, 32, 512), (200, 3000, 200_000)),
    companions=("HS-07a", "HS-07b"),
    mutants=[
        _NO_ROOT,
        Mutant(
            "normalised_identity",
            "impl",
            {"supremum": _value(_normalised_identity)},
            why="the identity is scaled to unit length: all directions but one are excluded",
            part="typical(k=6,marginal=gaussian,weights=positive)",
        ),
        Mutant(
            "smallest_eigenvalue",
            "impl",
            {"supremum": _value(_smallest_eigenvalue)},
            why="the smallest eigenvalue instead of the largest",
            part="typical(k=6,marginal=gaussian,weights=positive)",
        ),
        Mutant(
            "attained_for_bound",
            "impl",
            {"supremum": lambda f: lambda X, c: SimpleNamespace(value=f(X, c).attained)},
            why="the value in the direction that the relaxation suggests is taken for the bound",
            part="*(k=6,*weights=mixed)",
        ),
        Mutant(
            "without_cross_terms",
            "impl",
            {"supremum": _value(_without_cross_terms)},
            why="the linear part of the problem on the sphere is forgotten",
            part="adversarial(k=6,marginal=t1.5,weights=positive)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="no direction exceeds the certified supremum",
    plain="No direction has a weighted fourth moment above the bound, for weights of either sign and heavy tails: all directions in two "
    "variables, an ascent from many starts in up to six.",
    tex=r"\frac1n\sum_ic_i\langle v,x_i\rangle^4\le S(\Omega)\qquad(\lVert v\rVert=1)",
)
def moments_below_the_supremum(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the largest moment found beside the bound, both above a common lower bound."""
    size = 2.0 * _size(inst)
    return Outcome(size + _largest(inst, rng), size + impl.supremum(inst.X, inst.c).value)


@cat.identity(
    "HS-07a",
    budget=FloatBudget(
        k=2000, scale=lambda inst, out: _size(inst), why="sums over rows, and a multiplier that stays 1e-13 of the size above"
    ),
    impl={"supremum": quartic_sup_bound},
    families=[
        Family("typical", _weighted_rows, grid=_forms((2,), ("gaussian", "laplace"), ("positive", "negative", "mixed"))),
        Family("adversarial", _weighted_rows, grid=_forms((2,), ("t1.5", "cube"), ("positive", "mixed")), role="adversarial"),
        Family("few", _few_rows, grid=({"n": 1}, {"n": 2}, {"n": 3}), role="adversarial"),
    ],
    trials={"quick": 4},
    mutants=[
        Mutant(
            "plain_eigenvalue",
            "impl",
            {"supremum": _value(lambda omega, k: float(np.linalg.eigvalsh(omega)[-1]))},
            why="the largest eigenvalue without a multiplier: a bound, and a loose one",
            part="typical(k=2,marginal=gaussian,weights=positive)",
        ),
        Mutant(
            "weights_forgotten",
            "impl",
            {"supremum": lambda f: lambda X, c: f(X)},
            why="all rows weigh the same",
            part="typical(k=2,marginal=gaussian,weights=mixed)",
        ),
        Mutant(
            "clipped_weights",
            "impl",
            {"supremum": lambda f: lambda X, c: f(X, np.maximum(c, 0.0))},
            why="rows with negative weights are left out: a bound, and a loose one",
            part="typical(k=2,marginal=gaussian,weights=mixed)",
        ),
    ],
    source=Source("derived", proof=f"{_PROOF}: a nonnegative binary quartic is a sum of squares"),
    title="the supremum is exact in two variables",
    plain="In two variables the bound is the largest weighted fourth moment itself, found as the root of a polynomial.",
    tex=r"S(\Omega)=\max_s\frac1n\sum_ic_i\langle(\cos s,\sin s),x_i\rangle^4",
)
def supremum_in_two_variables(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the bound beside the maximum over the circle."""
    return Outcome(impl.supremum(inst.X, inst.c).value, _on_the_circle(inst.X, inst.c))


def _gaussian_design(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Take the nodes of the three-point rule in every coordinate: their moments up to degree 5 are those of the Gaussian, exactly."""
    k = point["k"]
    nodes, chances = np.array([-math.sqrt(3.0), 0.0, math.sqrt(3.0)]), np.array([1.0, 4.0, 1.0]) / 6.0
    X = np.array(list(itertools.product(nodes, repeat=k)))
    weights = np.prod(np.array(list(itertools.product(chances, repeat=k))), axis=1) * len(X)
    return Instance({"k": k}, {"X": np.ascontiguousarray(X @ _rotation(k, rng)), "c": weights})


def _rotation(k: int, rng: np.random.Generator) -> FloatArray:
    return np.asarray(np.linalg.qr(rng.standard_normal((k, k)))[0])


@cat.identity(
    "HS-07b",
    budget=_SPECTRAL,
    impl={"supremum": quartic_sup_bound},
    families=[Family("gaussian", _gaussian_design, grid=tuple({"k": k} for k in (1, 2, 3, 4, 5)), role="enumeration")],
    trials=1,
    mutants=[
        Mutant(
            "plain_eigenvalue",
            "impl",
            {"supremum": _value(lambda omega, k: float(np.linalg.eigvalsh(omega)[-1]))},
            why="the largest eigenvalue without a multiplier, k + 2",
        ),
        Mutant(
            "without_cross_terms",
            "impl",
            {"supremum": _value(_without_cross_terms)},
            why="the linear part of the problem on the sphere is forgotten",
        ),
        Mutant(
            "trace",
            "impl",
            {"supremum": _value(lambda omega, k: float(np.trace(omega)))},
            why="the mean fourth power of the length, k (k + 2): the bound that ignores directions",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the supremum of Gaussian moments is 3",
    plain="For rows with the moments of a Gaussian the bound is 3, in any dimension.",
    tex=r"S(2I+ee^\top)=3",
)
def supremum_of_gaussian_moments(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the bound beside 3."""
    return Outcome(impl.supremum(inst.X, inst.c).value, 3.0)


# --- any multiplier, and sums of squares -----------------------------------------------------------------------------------------------


def _guessed(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = _weighted_rows(rng, point)
    omega = quartic_gram(made.X, np.maximum(made.c, 0.0)) - quartic_gram(made.X, np.maximum(-made.c, 0.0))
    omega /= len(made.X)
    lam = spectral_supremum(omega, made.k)[1] + point["off"] * _size(made) * float(rng.choice([-1.0, 1.0]))
    return Instance(dict(made.params), {**made.data, "omega": omega, "lam": lam})


def _by_power_iteration(evaluate: Callable[..., float]) -> Callable[..., float]:
    def wrong(omega: FloatArray, k: int, lam: float) -> float:
        e = svec(np.eye(k))
        A = omega - lam * np.outer(e, e)
        x = np.ones(e.size)
        for _ in range(5):
            x = A @ x
            x /= np.linalg.norm(x)
        return lam + float(x @ A @ x)

    return wrong


@cat.inequality(
    "HS-07c",
    budget=_SPECTRAL,
    impl={"evaluate": spectral_value},
    families=[
        Family(
            "typical",
            _guessed,
            grid=tuple({**point, "off": off} for off in (0.0, 0.1) for point in _forms((2, 5), ("gaussian",), ("mixed",))),
        ),
        Family(
            "adversarial",
            _guessed,
            grid=tuple({**point, "off": off} for off in (0.0, 1e-6, 3.0) for point in _forms((2, 5), ("t1.5", "cube"), ("positive",))),
            role="adversarial",
        ),
    ],
    tight=0.999999,
    trials={"quick": 2},
    mutants=[
        Mutant(
            "multiplier_not_added",
            "impl",
            {"evaluate": lambda f: lambda omega, k, lam: f(omega, k, lam) - lam},
            why="the eigenvalue alone, without the multiplier",
            part="adversarial(k=5,marginal=t1.5,weights=positive,off=0)",
        ),
        Mutant(
            "power_iteration",
            "impl",
            {"evaluate": _by_power_iteration},
            why="a few steps of an iteration that approaches the eigenvalue from below",
            part="typical(k=5,marginal=gaussian,weights=mixed,off=0)",
        ),
        Mutant(
            "sign_of_the_multiplier",
            "impl",
            {"evaluate": lambda f: lambda omega, k, lam: f(omega, k, -lam) + 2.0 * min(lam, 0.0)},
            why="the multiplier enters with the wrong sign where it is negative",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="every multiplier proves a bound",
    plain="Whatever multiplier a certificate stores, the number recomputed from it is at least every weighted fourth moment; with the best "
    "one it is the supremum in two variables.",
    tex=r"\frac1n\sum_ic_i\langle v,x_i\rangle^4\le\lambda+\lambda_{\max}(\Omega-\lambda ee^\top)",
)
def moments_below_a_guess(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the largest moment found beside the bound of the guess, both above a common lower bound."""
    size = 2.0 * _size(inst)
    return Outcome(size + _largest(inst, rng), size + impl.evaluate(inst.omega, inst.k, inst.lam))


def _shifted(change: Callable[[Any, FloatArray, FloatArray], float]) -> Callable[[Supremum], Supremum]:
    def mutate(supremum: Supremum) -> Supremum:
        def wrong(X: FloatArray, c: FloatArray, method: str = "spectral") -> Any:
            found = supremum(X, c, method=method)
            return found if method == "spectral" else SimpleNamespace(value=change(found, X, c))

        return wrong

    return mutate


def _diagonal_shift(found: Any, X: FloatArray, c: FloatArray) -> float:
    omega = _form(X, c)
    return spectral_value(omega - 0.1 * np.trace(omega) * np.eye(len(omega)), X.shape[1], found.lam)


@cat.inequality(
    "HS-07d",
    budget=_SPECTRAL,
    impl={"supremum": quartic_sup_bound},
    families=[
        Family("typical", _weighted_rows, grid=({"k": 3, "n": 40, "marginal": "gaussian", "weights": "positive"},)),
        Family(
            "adversarial",
            _weighted_rows,
            grid=tuple({"k": 4, "n": 40, "marginal": name, "weights": "mixed"} for name in ("t1.5", "cube")),
            role="adversarial",
        ),
    ],
    trials={"quick": 1, "full": 16, "nightly": 128},
    mutants=[
        Mutant(
            "form_changed",
            "impl",
            {"supremum": _shifted(_diagonal_shift)},
            why="the form is shifted by a matrix whose form does not vanish",
            part="typical*",
        ),
        Mutant(
            "worse_than_spectral",
            "impl",
            {"supremum": _shifted(lambda found, X, c: float(np.linalg.eigvalsh(_form(X, c))[-1]))},
            why="the shift is returned without its multiplier, so that the plain eigenvalue remains",
            part="typical*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="sums of squares lie in between",
    plain="The bound by sums of squares is at least every weighted fourth moment and at most the spectral bound.",
    tex=r"\sup_{\lVert v\rVert=1}\frac1n\sum_ic_i\langle v,x_i\rangle^4\le S_{\mathrm{sos}}\le S(\Omega)",
)
def sums_of_squares_in_between(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return moment and bound by sums of squares beside that bound and the spectral one, all above a common lower bound."""
    size = 2.0 * _size(inst)
    spectral, sos = (impl.supremum(inst.X, inst.c, method=method).value for method in ("spectral", "sos"))
    return Outcome(size + np.array([_largest(inst, rng), sos]), size + np.array([sos, spectral]))
