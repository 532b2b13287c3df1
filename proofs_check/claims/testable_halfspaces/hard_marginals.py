"""Claims about where learners go wrong: the ramp's descent on a hidden cluster, convex losses under one-sided noise."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces.band_test import band_test
from algos.testable_halfspaces.certificates import massart_certificate
from algos.testable_halfspaces.instances import make_halfspace
from algos.testable_halfspaces.moment_tests import gaussian_moment_test
from algos.testable_halfspaces.ramp_learner import RampPath, ramp_path
from proofs_check import Catalogue, Family, Instance, Mutant, Outcome, Source

cat = Catalogue("testable_halfspaces/ramp_learner")

FloatArray = npt.NDArray[np.float64]
Learner = Callable[[FloatArray, FloatArray, int], FloatArray]

_HARD = "docs/theory/testable_halfspaces.md, Hard marginals"

# --- a hidden cluster -------------------------------------------------------------------------------------------------------------------

_WIDTHS = (1.0, 0.5, 0.2, 0.1)


def _cluster(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = make_halfspace(point["n"], point["d"], marginal="hidden-cluster", random_state=rng)
    return Instance({"seed": int(rng.integers(2**31))}, {"X": made.X, "y": made.y, "w_star": made.w})


def _descents(X: FloatArray, y: FloatArray, seed: int) -> RampPath:
    """Descend from the mean of y x."""
    return ramp_path(X, y, sigmas=_WIDTHS, starts=("chow",))


def _from_anywhere(X: FloatArray, y: FloatArray, seed: int) -> FloatArray:
    """Descend from one random direction."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ramp_path(X, y, sigmas=_WIDTHS, starts=("random",), n_restarts=1, random_state=seed).best.w


def _beyond_the_gap(descents: Callable[..., RampPath]) -> Callable[..., RampPath]:
    """Descend in a band that is wider than the gap between the clusters."""
    return lambda X, y, seed: ramp_path(X, y, sigmas=(4.0,), starts=("chow",))


def _logistic(X: FloatArray, y: FloatArray, seed: int) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    return np.asarray(LogisticRegression(fit_intercept=False, C=1e6, max_iter=200).fit(X, y).coef_[0], dtype=np.float64)


def _mistakes(X: FloatArray, y: FloatArray, w: FloatArray) -> float:
    return float(np.mean((X @ w >= 0.0) != (y > 0.0)))


def _accepts(X: FloatArray, y: FloatArray, w: FloatArray, sigma: float, gradient: float) -> tuple[bool, bool, bool]:
    """Say whether the moment tests pass, the band test passes, and the halfspace is certified."""
    moments = all(result.passed for result in gaussian_moment_test(X, calibration="theory"))
    band = all(result.passed for result in band_test(X, w, sigma))
    return moments, band, not massart_certificate(X, y, w, sigma, eta=0.1).vacuous


def _by_gradient(accepts: Any) -> Any:
    return lambda X, y, w, sigma, gradient: (gradient <= 1e-5,) * 3


def _one_covariance(accepts: Any) -> Any:
    """Test means and covariances only."""

    def wrong(X: FloatArray, y: FloatArray, w: FloatArray, sigma: float, gradient: float) -> tuple[bool, bool, bool]:
        low = [result.passed for result in gaussian_moment_test(X, calibration="theory") if result.name in ("mean", "covariance")]
        return all(low), *accepts(X, y, w, sigma, gradient)[1:]

    return wrong


@cat.inequality(
    "HS-18",
    impl={"descents": _descents, "accepts": _accepts},
    families=[
        Family("small", _cluster, grid=({"n": 2000, "d": 3},)),
        Family("large", _cluster, grid=({"n": 20_000, "d": 10},), role="adversarial"),
    ],
    trials={"quick": 2, "full": 32},
    mutants=[
        Mutant(
            "gradient_is_enough",
            "impl",
            {"accepts": _by_gradient},
            why="a learner that trusts its gradient accepts",
            part="small(n=2000,d=3)",
        ),
        Mutant(
            "second_moments_only",
            "impl",
            {"accepts": _one_covariance},
            why="the moment tests stop at degree two",
            part="small(n=2000,d=3)",
        ),
        Mutant(
            "beyond_the_gap",
            "impl",
            {"descents": _beyond_the_gap},
            why="a band that is wider than the gap holds rows, and its gradient is not zero",
            part="small(n=2000,d=3)",
        ),
    ],
    companions=("HS-18a",),
    source=Source("derived", proof=_HARD),
    title="a hidden cluster stops descent",
    plain="On the hidden cluster the planted halfspace makes no mistake, while the descent from the mean of y x ends in an empty band "
    "at every width, with a gradient of zero and at least 15 % mistakes; moment tests and band test reject, and nothing is certified.",
    tex=r"\nabla L_\sigma(w)=0,\qquad\mathrm{err}(w)\ge0.15,\qquad\mathrm{err}(w^*)=0",
)
def where_descents_end(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return gradients, mistakes of the planted halfspace, and what was accepted, beside zeros; 0.15 beside the mistakes made."""
    path = impl.descents(inst.X, inst.y, inst.seed)
    gradients = [candidate.gradient_norm for candidate in path]
    wrong = [candidate.n_mistakes / inst.y.size for candidate in path]
    best = path.best
    accepted = impl.accepts(inst.X, inst.y, best.w, best.sigma, best.gradient_norm)
    zeros = [*gradients, _mistakes(inst.X, inst.y, inst.w_star), *map(float, accepted)]
    return Outcome(np.array(zeros + [0.15] * len(wrong)), np.array([0.0] * len(zeros) + wrong))


@cat.order(
    "HS-18a",
    impl={
        "convex": _logistic,
        "ramp": _from_anywhere,
    },
    families=[Family("cluster", grid=({"n": 2000, "d": 3}, {"n": 4000, "d": 4}), role="adversarial")],
    mutants=[
        Mutant(
            "the_other_learner",
            "impl",
            {"ramp": lambda f: _logistic},
            why="the learner that is compared is logistic regression itself: descents that end where it does",
            part="cluster(n=2000,d=3)",
            killers=("HS-18a",),
        ),
        Mutant(
            "planted_start",
            "impl",
            {"ramp": lambda f: lambda X, y, seed: np.eye(X.shape[1])[1]},
            why="the descent starts from, and stays at, the planted halfspace",
            part="cluster(n=2000,d=3)",
            killers=("HS-18a",),
        ),
    ],
    companions=("HS-18",),
    source=Source("derived", proof=_HARD),
    title="logistic regression finds the hidden cluster",
    plain="On the hidden cluster logistic regression makes fewer mistakes, by 15 % of the learning rows, than ramp "
    "descent from a random direction, in the median over tables and directions.",
)
def mistakes_beyond_logistic_regression(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the mistakes of the descent minus those of logistic regression minus 0.15."""
    made = make_halfspace(inst.n, inst.d, marginal="hidden-cluster", random_state=rng)
    seed = int(rng.integers(2**31))
    ramp, convex = (_mistakes(made.X, made.y, learn(made.X, made.y, seed)) for learn in (impl.ramp, impl.convex))
    return ramp - convex - 0.15


# --- where convex losses are biased ------------------------------------------------------------------------------------------------------

_FACTOR = 3.0


def _ramp(X: FloatArray, y: FloatArray, seed: int) -> FloatArray:
    return _quiet_path(X, y, seed).best.w


def _quiet_path(X: FloatArray, y: FloatArray, seed: int) -> RampPath:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ramp_path(X, y, sigmas=(2.0, 1.0, 0.5, 0.25, 0.12), n_restarts=0, random_state=seed)


def _widest(learn: Learner) -> Learner:
    return lambda X, y, seed: _quiet_path(X, y, seed).candidates[0].w


def _of_the_mean(learn: Learner) -> Learner:
    """Stay at the start: the mean of y x."""
    return lambda X, y, seed: np.asarray(y @ X / y.size)


def _excess(rng: np.random.Generator, inst: Instance) -> tuple[FloatArray, FloatArray, Callable[[FloatArray], float]]:
    """Draw learning rows, and make the excess error of a halfspace over the planted one in the population."""
    leverage = inst.noise == "leverage"
    options: dict[str, Any] = {"noise": "agnostic", "adversary": "leverage"} if leverage else {"noise": "massart", "adversary": "wedge"}
    n = inst.n
    made = make_halfspace(n if leverage else 4 * n, inst.d, rate=inst.rate, random_state=rng, **options)
    X, y, fresh, flips = made.X[:n], made.y[:n], made.X[n:], made.flips[n:]

    def excess(w: FloatArray) -> float:
        if leverage:  # fresh rows are Gaussian
            return math.acos(min(1.0, max(-1.0, float(w @ made.w) / float(np.linalg.norm(w))))) / math.pi
        return float(np.mean((1.0 - 2.0 * flips) * ((fresh @ w >= 0.0) != (fresh @ made.w >= 0.0))))

    return X, y, excess


@cat.order(
    "HS-21",
    impl={"ramp": _ramp, "convex": _logistic},
    families=[
        Family("wedge", grid=({"noise": "wedge", "rate": 0.2, "n": 4000, "d": 5}, {"noise": "wedge", "rate": 0.4, "n": 5000, "d": 5})),
        Family(
            "leverage",
            grid=({"noise": "leverage", "rate": 0.01, "n": 4000, "d": 5}, {"noise": "leverage", "rate": 0.05, "n": 4000, "d": 5}),
            role="adversarial",
        ),
    ],
    mutants=[
        Mutant(
            "widest_band",
            "impl",
            {"ramp": _widest},
            why="the chooser returns the halfspace of the widest band, which the noise still pulls",
            part="wedge(noise=wedge,rate=0.2,*",
        ),
        Mutant(
            "stays_at_the_start",
            "impl",
            {"ramp": _of_the_mean},
            why="the mean of y x is returned without a descent",
            part="leverage(noise=leverage,rate=0.05,*",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Descent on the sphere: measured"),
    title="where convex losses are biased",
    plain="Under wedge noise of rates 0.2 and 0.4 and under 1 % and 5 % leverage outliers, the excess error of the ramp learner is in the "
    "median at most a third of that of logistic regression. Nothing is claimed near the rate one half.",
    tex=r"\mathrm{excess}(\text{ramp})\le\tfrac13\,\mathrm{excess}(\text{logistic})",
)
def third_of_the_excess(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return a third of the excess error of logistic regression minus that of the ramp learner."""
    X, y, excess = _excess(rng, inst)
    seed = int(rng.integers(2**31))
    return excess(impl.convex(X, y, seed)) / _FACTOR - excess(impl.ramp(X, y, seed))


def _perceptron(X: FloatArray, y: FloatArray, seed: int) -> FloatArray:
    from sklearn.linear_model import Perceptron

    return np.asarray(Perceptron(fit_intercept=False, random_state=seed).fit(X, y).coef_[0], dtype=np.float64)


@cat.order(
    "HS-21a",
    impl={"ramp": _ramp, "perceptron": _perceptron},
    families=[
        Family("wedge", grid=({"noise": "wedge", "rate": 0.2, "n": 1000, "d": 3},)),
        Family("leverage", grid=({"noise": "leverage", "rate": 0.01, "n": 1000, "d": 3},), role="adversarial"),
    ],
    mutants=[
        Mutant(
            "noise_forgotten",
            "env",
            lambda inst: Instance({**inst.params, "rate": 0.0}, key=inst.key),
            why="the labels are those of the planted halfspace: without noise the perceptron is right",
            part="wedge*",
        ),
    ],
    companions=("HS-21",),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Descent on the sphere: measured"),
    title="the perceptron under noise",
    plain="Under wedge noise of rate 0.2 and under 1 % leverage outliers, the excess error of the ramp learner is in the "
    "median at most a fifth of that of the perceptron.",
)
def fifth_of_the_perceptron(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return a fifth of the excess error of the perceptron minus that of the ramp learner."""
    X, y, excess = _excess(rng, inst)
    seed = int(rng.integers(2**31))
    return excess(impl.perceptron(X, y, seed)) / 5.0 - excess(impl.ramp(X, y, seed))
