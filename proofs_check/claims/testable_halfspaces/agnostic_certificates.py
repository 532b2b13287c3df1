"""Claims about the agnostic certificate: no halfspace makes fewer mistakes than certified, on any data set."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import HalfspaceCertificate, agnostic_certificate, bounds, exact_halfspace_error
from algos.testable_halfspaces.instances import make_halfspace
from proofs_check import Budget, Catalogue, Family, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces import _wrong_certificates as wrong
from proofs_check.claims.testable_halfspaces._populations import attained_rows
from proofs_check.claims.testable_halfspaces._problems import MARGINALS
from proofs_check.model import Tier

cat = Catalogue("testable_halfspaces/agnostic_certificates")

FloatArray = npt.NDArray[np.float64]

_SHAPES = ("gaussian", "t1.5", "t3", "laplace", "cube", "mixture", "gauss_hermite", "ring", "lattice", "line")
_ADVERSARIES = ("near", "far", "random", "second")
_WIDTHS = (0.3, 1.0, 3.0)  # of the band, in units of the median margin


def _rows(rng: np.random.Generator, shape: str, n: int, d: int) -> FloatArray:
    if shape in MARGINALS:
        return np.array(make_halfspace(n, d, random_state=rng, **MARGINALS[shape]).X)
    if shape == "lattice":
        return rng.integers(-3, 4, (n, d)).astype(float)
    X = rng.standard_normal((n, d))
    if shape == "ring":
        return np.asarray(X / np.linalg.norm(X, axis=1)[:, None])
    X[:, 0] = rng.choice([-0.01, 0.01, 1.0], n)
    return X


def _flipped(rng: np.random.Generator, adversary: str, X: FloatArray, w: FloatArray) -> FloatArray:
    """Labels of w, up to a quarter flipped: nearest, farthest or random rows, or all that a second halfspace sees otherwise."""
    n, t = len(X), X @ w
    m = int(rng.integers(0, n // 4 + 1))
    chosen: dict[str, Callable[[], npt.NDArray[np.intp]]] = {
        "near": lambda: np.argsort(np.abs(t))[:m],
        "far": lambda: np.argsort(-np.abs(t))[:m],
        "random": lambda: rng.choice(n, m, replace=False),
        "second": lambda: np.flatnonzero((X @ (w + 0.3 * rng.standard_normal(w.size)) >= 0.0) != (t >= 0.0)),
    }
    y = np.where(t >= 0.0, 1.0, -1.0)
    y[chosen[adversary]()] *= -1.0
    return y


def _adversarial_labels(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Draw a table with hostile labels, seen from a halfspace near the one that made them, from one farther off, or from the back."""
    n, d = int(rng.choice(point["rows"])), point["d"]
    X, truth = _rows(rng, point["shape"], n, d), rng.standard_normal(d)
    y = _flipped(rng, str(rng.choice(_ADVERSARIES)), X, truth)
    if rng.random() < 0.2:
        X, y = np.repeat(X, 2, axis=0), np.repeat(y, 2)
    w = (truth + rng.choice([0.0, 0.02, 0.3]) * np.linalg.norm(truth) * rng.standard_normal(d)) * rng.choice([-1.0, 1.0], p=[0.2, 0.8])
    unit = float(np.median(np.abs(X @ w))) / float(np.linalg.norm(w)) or 1.0
    return Instance({}, {"X": X, "y": y, "w": w, "sigmas": np.array(_WIDTHS) * unit})


def _tables(d: int, rows: tuple[int, ...]) -> tuple[dict[str, Any], ...]:
    return tuple({"shape": shape, "d": d, "rows": rows} for shape in _SHAPES)


def _attained(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    X, y, w, sigma = attained_rows(rng, point["weights"], point["unit"])
    return Instance({}, {"X": X, "y": y, "w": w, "sigmas": np.array([sigma])})


def _reversed(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Rows that w labels without a mistake, seen from the back: no halfspace needs any."""
    X = _rows(rng, point["shape"], point["n"], 2)
    w = rng.standard_normal(2)
    unit = float(np.median(np.abs(X @ w))) / float(np.linalg.norm(w))
    return Instance({}, {"X": X, "y": np.where(X @ w >= 0.0, 1.0, -1.0), "w": -w, "sigmas": np.array(_WIDTHS) * unit})


def _searched_size(point: Mapping[str, Any]) -> int:
    return 3 * int(point["n"]) + 1


def _decoded(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    n = point["n"]
    X, scores = x[: 2 * n].reshape(n, 2), x[2 * n : 3 * n]
    y = np.where(X[:, 0] + 0.3 * scores >= 0.0, 1.0, -1.0)  # labels of w unless a score says otherwise
    if np.all(y == y[0]):
        raise ValueError("one class only")
    return Instance({}, {"X": X, "y": y, "w": np.array([1.0, 0.0]), "sigmas": np.array([float(np.exp(np.clip(x[-1], -4.0, 4.0)))])})


def _random_table(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    while True:
        try:
            return _decoded(rng.standard_normal(_searched_size(point)), point)
        except ValueError:  # one class: once in thousands
            continue


def _claiming(change: Callable[[HalfspaceCertificate], int]) -> Callable[[wrong.Maker], wrong.Maker]:
    """Make certificates that claim another number of mistakes."""

    def wrap(original: wrong.Maker) -> wrong.Maker:
        def made(X: FloatArray, y: FloatArray, w: FloatArray, sigma: float, **options: Any) -> HalfspaceCertificate:
            certificate = original(X, y, w, sigma, **options)
            return replace(certificate, optimum=change(certificate), vacuous=False)

        return made

    return wrap


_BUDGETS: dict[Tier, Budget] = {
    "quick": Budget(2, 1, search_evals=60),
    "full": Budget(8, 1, search_evals=1_000),
    "nightly": Budget(512, 1, search_evals=50_000),
}


def _mistake(name: str, change: wrong.Change, why: str, part: str, *, reverse: bool = True) -> Mutant:
    return Mutant(name, "impl", {"certificate": wrong.agnostic(change, reverse=reverse)}, why, part=part, killers=("HS-12",))


_FLAT, _SLOPED, _SHORT = (f"attained(weights={name}" for name in ("flat,unit=1)", "sloped,unit=1)", "short,unit=1)"))


@cat.inequality(
    "HS-12",
    impl={"certificate": agnostic_certificate},
    families=[
        Family("plane", _adversarial_labels, grid=_tables(2, (8, 40, 150)), role="adversarial"),
        Family("space", _adversarial_labels, grid=_tables(3, (12, 30)), role="adversarial"),
        Family(
            "attained",
            _attained,
            grid=tuple({"weights": weights, "unit": unit} for weights in ("flat", "sloped", "short") for unit in (1.0, 250.0))
            + tuple({"weights": "sloped", "unit": 1.0, "case": case} for case in range(6)),
            role="adversarial",
        ),
        Family("reversed", _reversed, grid=({"shape": "gaussian", "n": 400}, {"shape": "ring", "n": 400}), role="adversarial"),
        Family("typical", _adversarial_labels, grid=({"shape": "gaussian", "d": 2, "rows": (1000,)},)),
        Family(
            "searched",
            _random_table,
            grid=tuple({"n": n} for n in (12, 40, 100, 200)),
            role="adversarial",
            search=SearchSpace(_searched_size, _decoded),
        ),
    ],
    budgets=_BUDGETS,
    tight=1.0,
    mutants=[
        _mistake("mistakes_counted_once", wrong.half_of_the_mistakes, "a mistake changes the sign of a push: it counts twice", _FLAT),
        _mistake(
            "lightest_rows", wrong.mistakes_in_light_rows, "the rival errs where the weight is least, not where it is largest", _SLOPED
        ),
        _mistake(
            "weight_for_its_square",
            wrong.weight_for_its_square,
            "the moments are weighted by psi instead of psi^2",
            _FLAT,
        ),
        _mistake(
            "squared_weights",
            wrong.squared_weights,
            "the moments and pushes are weighted by psi^2 instead of psi",
            "attained(weights=flat,unit=250)",
        ),
        _mistake("gradient_forgotten", wrong.gradient_forgotten, "w is taken for a stationary point of the loss", _FLAT),
        _mistake("gaussian_constants", wrong.gaussian_constants, "the push is that of Gaussian rows, not the measured one", _SHORT),
        _mistake(
            "cone_forgotten",
            wrong.cone_forgotten,
            "halfspaces within the angle are taken to agree with w",
            "typical(shape=gaussian,*",
        ),
        _mistake(
            "reverse_forgotten", wrong.unchanged, "the other side of the angle is not looked at", "reversed(shape=gaussian,*", reverse=False
        ),
        _mistake(
            "rounding_ignored", wrong.rounding_ignored, "equal sums are told apart by their rounding", "attained(weights=sloped,unit=1,*"
        ),
        Mutant(
            "one_more",
            "impl",
            {"certificate": _claiming(lambda c: c.optimum + (not c.vacuous))},
            "at least k + 1 mistakes because k are impossible, and then once more",
            killers=("HS-12",),
            part=_FLAT,
        ),
        Mutant(
            "accept_all",
            "impl",
            {"certificate": _claiming(lambda c: c.mistakes)},
            "whatever the halfspace gets wrong is taken for unavoidable",
            killers=("HS-12",),
            part="plane(shape=gaussian,*",
        ),
    ],
    companions=("HS-12a", "HS-12b"),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Agnostic certificate"),
    title="certified mistakes are unavoidable",
    plain="The number of mistakes that the agnostic certificate proves for every halfspace never exceeds the smallest number of any "
    "halfspace, found exactly by a sweep in the plane and by enumeration in space.",
    tex=r"k_{\mathrm{low}}\le\min_w\#\{i:\operatorname{sign}\langle w,x_i\rangle\ne y_i\}",
)
def certified_and_exact_optimum(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the certified number for each width (-1 where nothing is certified) beside the exact optimum."""
    made = [impl.certificate(inst.X, inst.y, inst.w, float(sigma)) for sigma in inst.sigmas]
    optimum = exact_halfspace_error(inst.X, inst.y).n_mistakes
    return Outcome(np.array([-1 if certificate.vacuous else certificate.optimum for certificate in made]), optimum)


# --- the twin: something is certified ---------------------------------------------------------------------------------------------------

_FEW: dict[Tier, Budget] = {
    "quick": Budget(192, 8),
    "full": Budget(1024, 16),
    "nightly": Budget(20_000, 16),
}


def _planted(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({**point, "factor": bounds.gaussian_agnostic_factor()})


def _timid(original: wrong.Maker) -> wrong.Maker:
    """Make certificates that prove half of what they could, and nothing where that is little."""

    def made(*given: Any, **options: Any) -> HalfspaceCertificate:
        certificate = original(*given, **options)
        return replace(certificate, optimum=certificate.optimum // 8)

    return made


@cat.completeness(
    "HS-12a",
    levels=(0.2, 0.05),
    impl={"certificate": agnostic_certificate},
    families=[
        Family("typical", _planted, grid=({"n": 1000, "d": 2, "share": 0.1, "adversary": "random"},)),
        Family("adversarial", _planted, grid=({"n": 1000, "d": 2, "share": 0.1, "adversary": "far"},), role="adversarial"),
    ],
    budgets=_FEW,
    mutants=[
        Mutant("an_eighth", "impl", {"certificate": _timid}, "an eighth of the mistakes is proved", part="typical(*"),
        Mutant(
            "gradient_twice",
            "impl",
            {"certificate": wrong.agnostic(lambda search: replace(search, statistics=_with_gradient(search.statistics)))},
            "the gradient is bounded by the sum of the pushes",
            part="typical(*",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Constants for Gaussian rows"),
    title="something is certified on Gaussian rows",
    plain="On 1000 Gaussian rows in the plane with a tenth of the labels flipped, at random or farthest off, the mistakes of the planted "
    "halfspace exceed the certified ones by no more than the factor that the constants for infinitely many Gaussian rows allow.",
    tex=r"k_{\mathrm{low}}\ge\frac{\#\text{mistakes of }w^*}{39.4}",
)
def certified_on_gaussian_rows(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Accept if the mistakes of the planted halfspace are within the factor of what is certified."""
    X = rng.standard_normal((inst.n, inst.d))
    y = np.where(X[:, 0] >= 0.0, 1.0, -1.0)
    m = int(inst.share * inst.n)
    y[rng.choice(inst.n, m, replace=False) if inst.adversary == "random" else np.argsort(-np.abs(X[:, 0]))[:m]] *= -1.0
    certificate = impl.certificate(X, y, np.eye(inst.d)[0], 0.5)
    accepted = not certificate.vacuous and certificate.mistakes <= inst.factor * certificate.optimum
    return Outcome(float(certificate.optimum), accepted=accepted)


def _with_gradient(statistics: Any) -> Any:
    return replace(statistics, g=np.array([float(statistics.pushes[-1])]))


# --- the population -------------------------------------------------------------------------------------------------------------------


def _flipping_band(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance(dict(point))


def optimum_of_the_band(*, share: float, rate: float) -> float:
    """Error of the best halfspace when labels are flipped with a probability below one half in a share of the rows."""
    return share * rate


def _without_sampling(original: wrong.Maker) -> wrong.Maker:
    def made(*given: Any, **options: Any) -> HalfspaceCertificate:
        certificate = original(*given, **options)
        return replace(certificate, opt_lower=certificate.o_low)

    return made


def _twice_delta(original: wrong.Maker) -> wrong.Maker:
    return lambda *given, delta: original(*given, delta=min(2.0 * delta, 0.99))


@cat.tail(
    "HS-12b",
    bound=optimum_of_the_band,
    levels=(0.2, 0.05),
    delta_in_algorithm=True,
    impl={"certificate": agnostic_certificate},
    families=[
        Family(
            "attained",
            _flipping_band,
            grid=({"share": 0.3, "rate": 0.2, "n": 150}, {"share": 0.3, "rate": 0.05, "n": 150}),
            role="adversarial",
        )
    ],
    budgets={
        "quick": Budget(400, 8, slack_trials=64),
        "full": Budget(8192, 16, slack_trials=512),  # the failure probability is close to the level
        "nightly": Budget(100_000, 32, slack_trials=2048),
    },
    mutants=[
        Mutant(
            "sampling_forgotten",
            "impl",
            {"certificate": _without_sampling},
            "what holds for the rows is taken to hold for the population",
            part="attained(share=0.3,rate=0.2,n=150)@0.05",
        ),
        Mutant(
            "delta_not_halved",
            "impl",
            {"certificate": _twice_delta},
            "both statements about the population get all of delta",
            part="attained(share=0.3,rate=0.2,n=150)@0.2",
            quick=False,
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Agnostic certificate"),
    title="the error of the best halfspace in the population",
    plain="With probability 1 - delta / 2 the lower bound on the error of every halfspace is below that of the best one in the population.",
    tex=r"P\bigl(\mathrm{opt}_{\mathrm{low}}>\mathrm{opt}\bigr)\le\delta/2",
)
def certified_error_of_the_population(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the bound for rows of a population on which the mistakes of a sample are certified in full."""
    n = inst.n
    band = rng.random(n) < inst.share
    t = np.where(band, rng.uniform(-0.08, 0.08, n), rng.choice([-1.0, 1.0], n))
    z = np.where(band, rng.choice([-1.0, 1.0], n), t * rng.choice([-3.0, 3.0], n))
    y = np.where(z >= 0.0, 1.0, -1.0) * np.where(band & (rng.random(n) < inst.rate), -1.0, 1.0)
    return float(impl.certificate(np.column_stack([t, z]), y, np.array([1.0, 0.0]), 0.5, delta=2.0 * inst.delta).opt_lower)
