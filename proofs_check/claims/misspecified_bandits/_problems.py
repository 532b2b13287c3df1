"""Problems that several topics share: tables of actions, sparse models, worlds with an error of at most eps, and small searches."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import AdaptiveAdversary, LinearBanditEnv, SparseFit, make_diabetes_bandit, run
from algos.misspecified_bandits._learner import BanditLearner
from proofs_check import Budget, FloatBudget, Instance
from proofs_check.model import Tier

FloatArray = npt.NDArray[np.float64]
Env = LinearBanditEnv | AdaptiveAdversary

EPS = 0.125  # a power of two: adding and subtracting it from whole numbers rounds nothing
SHAPES = ("sphere", "gaussian")
HARD_SHAPES = ("t1.5", "signs", "lattice", "near_line", "repeated", "graded")


def actions(rng: np.random.Generator, shape: str, n_actions: int, d: int) -> FloatArray:
    """Draw a table of actions by the name of its shape."""
    X = rng.standard_normal((n_actions, d))
    if shape == "sphere":
        return np.asarray(X / np.linalg.norm(X, axis=1, keepdims=True))
    if shape == "t1.5":
        return np.asarray(X / np.sqrt(rng.chisquare(1.5, (n_actions, 1)) / 1.5))
    if shape == "signs":
        return rng.choice([-1.0, 1.0], (n_actions, d))
    if shape == "lattice":
        return rng.integers(-2, 3, (n_actions, d)).astype(np.float64)
    if shape == "near_line":  # every projection is a line, but for a billionth
        return np.asarray(X[:, :1] * (1.0 + np.arange(d)) + 1e-9 * X)
    if shape == "repeated":
        return np.asarray(X[rng.integers(0, max(n_actions // 3, 2), n_actions)])
    if shape == "graded":
        return np.asarray(X * 10.0 ** -np.linspace(0.0, 8.0, d))
    assert shape == "gaussian"
    return X


def sparse_model(rng: np.random.Generator, d: int, s: int, R: float = 1.0) -> FloatArray:
    """Draw a model with s coefficients of Euclidean length R."""
    theta = np.zeros(d)
    theta[rng.choice(d, s, replace=False)] = rng.standard_normal(s)
    return np.asarray(theta * (R / np.linalg.norm(theta)))


def errors(rng: np.random.Generator, kind: str, linear: FloatArray, eps: float) -> FloatArray:
    """Draw errors of at most eps: of any size, of full size, or against the best actions."""
    if kind == "uniform":
        return rng.uniform(-eps, eps, linear.size)
    if kind == "signs":
        return np.asarray(rng.choice([-eps, eps], linear.size))
    assert kind == "flattened"
    return np.where(linear >= np.quantile(linear, 0.9), -eps, eps)


@cache
def diabetes(s: int) -> tuple[FloatArray, FloatArray, SparseFit]:
    """Return actions and rewards of a real surface, without the intercept of its best s-sparse model, and that model."""
    bandit = make_diabetes_bandit()
    fit = bandit.sparse_fit(s)
    return bandit.X, bandit.mean - fit.intercept, fit


def world(rng: np.random.Generator, X: FloatArray, theta: FloatArray, eps: float, kind: str) -> LinearBanditEnv:
    """Make an environment whose errors are drawn before play."""
    linear = X @ theta
    return LinearBanditEnv(X, linear + errors(rng, kind, linear, eps), theta=theta)


def searched_to_the_end(env: Env, learner: BanditLearner, *, batch: int = 1) -> float:
    """Return the suboptimality of what a learner recommends when it has finished."""
    return run(env, learner, budget=None, batch=batch, look_every=2**40).final


def rewards_scale(inst: Instance, out: Any) -> float:
    """Return the size of rewards, to which their rounding is relative."""
    theta = inst.data.get("theta", np.ones(inst.X.shape[1]))
    return float(np.max(np.abs(inst.X) @ np.abs(theta))) + EPS


def rounding(k: int | Callable[..., int], why: str) -> FloatBudget:
    """Make the budget of differences of rewards."""
    return FloatBudget(k=k, scale=rewards_scale, why=why)


def grid(shapes: tuple[str, ...], sizes: tuple[int, ...], **fixed: Any) -> tuple[dict[str, Any], ...]:
    """List grid points: every shape with every sparsity."""
    return tuple({"shape": shape, "s": s, **fixed} for s in sizes for shape in shapes)


def few(quick: int, full: int, nightly: int, evaluations: int = 0) -> dict[Tier, Budget]:
    """Budgets of deterministic claims whose trials cost milliseconds."""
    return {
        "quick": Budget(quick, 1, search_evals=evaluations),
        "full": Budget(full, 1, search_evals=10 * evaluations),
        "nightly": Budget(nightly, 1, search_evals=200 * evaluations),
    }


def searched_size(point: Mapping[str, Any]) -> int:
    """Return how many numbers describe a small table with a dense model: its entries, then the coefficients."""
    return int(point["n"] * point["s"] + point["s"])


def searched_shapes(point: Mapping[str, Any]) -> tuple[tuple[int, ...], ...]:
    """Return the arrays behind the vector of a search."""
    return (point["n"], point["s"]), (point["s"],)


def decoded(x: FloatArray, point: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Read a small table and a model of length one from the vector of a search.

    Raises
    ------
    ValueError
        Entries whose size leaves nothing but rounding.
    """
    n, s = point["n"], point["s"]
    X, theta = x[: n * s].reshape(n, s).copy(), x[n * s :].copy()
    length = float(np.linalg.norm(theta))
    if np.max(np.abs(X)) > 1e3 or length < 1e-3:
        raise ValueError("no model, or actions that are too long")
    return X, theta / length
