"""Rounds of LinUCB: ours asked pull by pull and in a run, two numpy loops of the same rule, and the cost of reading the actions."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._lp_leverage import _case, ratio
from ._table import Row, Target
from ._timing import interleave

if TYPE_CHECKING:
    from . import Settings

FloatArray = NDArray[np.float64]

ASKED, RUN = "epsdelta ask and tell", "epsdelta run"
TWIN, UPDATED = "numpy, widths recomputed", "numpy, widths updated (Sherman-Morrison)"
FLOOR = "floor: read the actions (ddot)"
EPS, SIGMA, DELTA = 0.1, 0.3, 0.05
PER_TWIN, PER_READ = 0.2, 1.0 / 0.6


def linucb(settings: "Settings") -> Iterator[Row | Target]:
    """Many rounds on few actions, where every microsecond between two passes counts."""
    for rows, columns, rounds in [(10, 20, 100), (100, 20, 100)] if settings.quick else [(10, 20, 20_000), (1_000, 20, 10_000)]:
        X, mean, noise = _world(rows, columns, rounds, settings.seed)
        methods: dict[str, Callable[[], Any]] = {
            ASKED: partial(_ours_asked, X, mean, noise),
            RUN: partial(_ours_run, X, mean, noise, settings.seed),
            TWIN: partial(recomputed, X, mean, noise),
            UPDATED: partial(updated, X, mean, noise),
        }
        times = interleave(methods, settings.repeats)
        case = f"{_case(rows, columns)}, {rounds} rounds"
        for method, timing in times.items():
            quality = {"rounds per second": rounds / timing.cpu, "mean reward": float(np.mean(timing.result))} if timing.runs else {}
            yield Row("linucb", case, method, **timing.fields(), quality=quality)
        if not settings.quick:
            other = TWIN if rows == 1_000 else UPDATED
            yield Target("linucb", f"LinUCB run {case}: time / {other}", PER_TWIN, ratio(times[RUN], times[other]))


def linucb_stream(settings: "Settings") -> Iterator[Row | Target]:
    """Few rounds on many actions, where only reading them counts."""
    rows, columns, rounds = (2_000, 50, 5) if settings.quick else (100_000, 50, 40)
    for dtype in (np.float64, np.float32):
        X, mean, noise = _world(rows, columns, rounds, settings.seed)
        X = X.astype(dtype)
        learner = _learner().fit(X)
        rounds_of: dict[str, Callable[[], Any]] = {
            ASKED: partial(_tell, learner, mean, noise),
            FLOOR: partial(_read, X.ravel(), rounds),
        }
        times = interleave(rounds_of, settings.repeats)
        case = f"{_case(rows, columns)}, {np.dtype(dtype).name}, {rounds} rounds"
        for method, timing in times.items():
            yield Row("linucb_stream", case, method, **timing.fields())
        if not settings.quick and dtype is np.float64:
            yield Target("linucb_stream", f"LinUCB {case}: time / reading the actions", PER_READ, ratio(times[ASKED], times[FLOOR]))


def recomputed(X: FloatArray, mean: FloatArray, noise: FloatArray) -> FloatArray:
    """Play LinUCB with one matrix product for the widths of all actions in every round; return the rewards.

    Examples
    --------
    >>> recomputed(np.eye(2), np.array([0.5, 1.0]), np.zeros(3)).tolist()
    [0.5, 1.0, 1.0]
    """
    d = X.shape[1]
    inverse, moments, log_det, rewards = np.eye(d), np.zeros(d), 0.0, np.empty(noise.size)
    for t in range(noise.size):
        widths = np.sqrt(np.einsum("ij,ij->i", X @ inverse, X))
        action = int(np.argmax(X @ (inverse @ moments) + _bonus(log_det, t) * widths))
        x, rewards[t] = X[action], mean[action] + noise[t]
        u = inverse @ x
        k = float(x @ u)
        inverse -= np.outer(u, u) / (1.0 + k)
        moments += rewards[t] * x
        log_det += math.log1p(k)
    return rewards


def updated(X: FloatArray, mean: FloatArray, noise: FloatArray) -> FloatArray:
    """Play the same with predictions and widths updated by one product with a vector in every round; return the rewards.

    Examples
    --------
    >>> updated(np.eye(2), np.array([0.5, 1.0]), np.zeros(3)).tolist()
    [0.5, 1.0, 1.0]
    """
    inverse, f, h = np.eye(X.shape[1]), np.zeros(X.shape[0]), np.einsum("ij,ij->i", X, X)
    log_det, rewards = 0.0, np.empty(noise.size)
    for t in range(noise.size):
        action = int(np.argmax(f + _bonus(log_det, t) * np.sqrt(h)))
        rewards[t] = mean[action] + noise[t]
        u = inverse @ X[action]
        z = X @ u
        k = float(z[action])
        inverse -= np.outer(u, u) / (1.0 + k)
        f += (rewards[t] - f[action]) / (1.0 + k) * z
        h -= z * z / (1.0 + k)
        log_det += math.log1p(k)
    return rewards


def _read(numbers: Any, times: int) -> float:
    return float(sum(np.dot(numbers, numbers) for _ in range(times)))


def _bonus(log_det: float, t: int) -> float:
    return SIGMA * math.sqrt(2.0 * math.log(1.0 / DELTA) + log_det) + 1.0 + EPS * math.sqrt(t)


def _world(rows: int, columns: int, rounds: int, seed: int) -> tuple[Any, FloatArray, FloatArray]:
    """Return actions of length 1, their mean rewards, and the noise of all rounds."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X, X[:, 0] + EPS * rng.uniform(-1.0, 1.0, rows), SIGMA * rng.standard_normal(rounds)


def _learner() -> Any:
    from algos.misspecified_bandits import MisspecifiedLinUCB

    return MisspecifiedLinUCB(eps=EPS, sigma=SIGMA, delta=DELTA)


def _ours_asked(X: FloatArray, mean: FloatArray, noise: FloatArray) -> FloatArray:
    learner = _learner().fit(X)
    _tell(learner, mean, noise)
    return np.asarray(learner.history_.values)


def _tell(learner: Any, mean: FloatArray, noise: FloatArray) -> None:
    for draw in noise.tolist():
        action = learner.ask()
        learner.tell(action, mean[action] + draw)


def _ours_run(X: FloatArray, mean: FloatArray, noise: FloatArray, seed: int) -> FloatArray:
    from algos.misspecified_bandits import LinearBanditEnv, run

    env = LinearBanditEnv(X, mean, sigma=SIGMA, random_state=seed)
    return run(env, _learner(), budget=noise.size, look_every=noise.size).rewards
