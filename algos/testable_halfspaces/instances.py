"""Halfspaces with planted truth: marginals that must be accepted, marginals that must be rejected, and noise of every kind.

Every generator returns a small frozen record with read-only arrays and what is known about them. The planted halfspace's mistakes are an
upper bound on those of the best halfspace, and equal to them where the record says so.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_option, check_range
from algos.testable_halfspaces._arguments import unit_direction

__all__ = ["ADVERSARIES", "MARGINALS", "HalfspaceInstance", "make_halfspace", "must_reject_panel"]

FloatArray = npt.NDArray[np.float64]
Noise = Literal["none", "rcn", "massart", "agnostic"]

GAUSS_HERMITE_NODES = (0.7419637843027259, 2.3344142183389773)
"""Positive nodes of the four-point Gauss-Hermite rule for N(0, 1): with the weights below it has the Gaussian's moments to degree 7."""
GAUSS_HERMITE_WEIGHTS = (0.4541241452319315, 0.04587585476806849)

LEVERAGE = -20.0
"""Place, along the planted normal, of the rows that the adversary "leverage" puts in."""


@dataclass(frozen=True, eq=False)
class HalfspaceInstance:
    """Rows and labels with a planted halfspace; iterating gives X, y, w.

    Attributes
    ----------
    name : str
        Marginal, noise and adversary.
    X : ndarray of shape (n, d), read-only
    y : ndarray of shape (n,), read-only
        Labels -1 and +1 as float64.
    w : ndarray of shape (d,), read-only
        Planted unit normal.
    noise : {"none", "rcn", "massart", "agnostic"}
    rate : float
        Flip probability, bound on it, or share of rows that the adversary may change.
    flips : ndarray of shape (n,), read-only
        Probability with which each label was flipped (0 or 1 for the agnostic adversaries).
    n_mistakes : int
        Rows that the planted halfspace gets wrong: no fewer than the best halfspace does.
    gaussian : bool
        Whether the rows are standard Gaussian: a tester must accept.
    bad_direction : ndarray of shape (d,) or None
        Unit vector in which the marginal is not Gaussian, where there is one such direction.
    """

    name: str
    X: FloatArray = field(repr=False)
    y: FloatArray = field(repr=False)
    w: FloatArray = field(repr=False)
    noise: Noise
    rate: float
    flips: FloatArray = field(repr=False)
    n_mistakes: int
    gaussian: bool
    bad_direction: FloatArray | None = field(repr=False, default=None)

    def __iter__(self) -> Iterator[FloatArray]:
        return iter((self.X, self.y, self.w))

    def excess_error(self, w: npt.ArrayLike) -> float:
        r"""Return the exact excess error of another halfspace over the planted one, in the population.

        For standard Gaussian rows and flips of one probability :math:`\eta` it is :math:`(1-2\eta)\theta/\pi`, with the angle
        :math:`\theta` between the normals.

        Parameters
        ----------
        w : array-like of shape (d,)
            Normal.

        Returns
        -------
        float
            NaN where no formula is known (other marginals, other noise).
        """
        if not self.gaussian or self.noise not in ("none", "rcn"):
            return math.nan
        other = unit_direction(w, self.w.size)
        angle = 2.0 * math.atan2(float(np.linalg.norm(other - self.w)), float(np.linalg.norm(other + self.w)))
        return (1.0 - 2.0 * self.rate) * angle / math.pi


# --- marginals -----------------------------------------------------------------------------------------------------------------------


def _gaussian(n: int, d: int, rng: Generator, shape: dict[str, float]) -> tuple[FloatArray, FloatArray | None]:
    return rng.standard_normal((n, d)), None


def _student(n: int, d: int, rng: Generator, shape: dict[str, float]) -> tuple[FloatArray, FloatArray | None]:
    df = shape["df"]
    scale = math.sqrt(df / (df - 2.0)) if df > 2.0 else 1.0  # no variance to set to one below two degrees of freedom
    return np.asarray(rng.standard_t(df, (n, d)) / scale), None


def _elliptical(n: int, d: int, rng: Generator, shape: dict[str, float]) -> tuple[FloatArray, FloatArray | None]:
    df = shape["df"]
    scale = math.sqrt(df / (df - 2.0)) if df > 2.0 else 1.0
    return np.asarray(rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(df, (n, 1)) / df) / scale), None


def _laplace(n: int, d: int, rng: Generator, shape: dict[str, float]) -> tuple[FloatArray, FloatArray | None]:
    return rng.laplace(0.0, math.sqrt(0.5), (n, d)), None


def _uniform(n: int, d: int, rng: Generator, shape: dict[str, float]) -> tuple[FloatArray, FloatArray | None]:
    return rng.uniform(-math.sqrt(3.0), math.sqrt(3.0), (n, d)), None


def _cube(n: int, d: int, rng: Generator, shape: dict[str, float]) -> tuple[FloatArray, FloatArray | None]:
    return rng.choice([-1.0, 1.0], (n, d)), None


def _mixture(n: int, d: int, rng: Generator, shape: dict[str, float]) -> tuple[FloatArray, FloatArray | None]:
    """Two Gaussian clusters along a random direction, of unit variance in all: their centres are at plus and minus the weight."""
    direction, spread = _random_unit(d, rng), math.sqrt(1.0 - shape["weight"] ** 2)
    X = rng.standard_normal((n, d))
    along = X @ direction
    centres = shape["weight"] * rng.choice([-1.0, 1.0], n)
    return X + np.outer(spread * along + centres - along, direction), direction


def _gauss_hermite(n: int, d: int, rng: Generator, shape: dict[str, float]) -> tuple[FloatArray, FloatArray | None]:
    X = rng.standard_normal((n, d))
    share = GAUSS_HERMITE_WEIGHTS[0] / sum(GAUSS_HERMITE_WEIGHTS)
    X[:, 0] = np.where(rng.random(n) < share, *GAUSS_HERMITE_NODES) * rng.choice([-1.0, 1.0], n)
    return X, np.eye(1, d)[0]


MARGINALS: dict[str, Callable[[int, int, Generator, dict[str, float]], tuple[FloatArray, FloatArray | None]]] = {
    "gaussian": _gaussian,
    "t": _student,
    "elliptical-t": _elliptical,
    "laplace": _laplace,
    "uniform": _uniform,
    "cube": _cube,
    "mixture": _mixture,
    "ngca": _mixture,
    "gauss-hermite": _gauss_hermite,
    "hidden-cluster": _gaussian,  # labels come first, see `_hidden_cluster`
}
"""Marginals of `make_halfspace`: draw rows, and tell the direction that is not Gaussian if there is one. "mixture" and "ngca" are the same
family, Gaussian in all directions but one; they differ in their default weight."""


def _random_unit(d: int, rng: Generator) -> FloatArray:
    direction = rng.standard_normal(d)
    return np.asarray(direction / np.linalg.norm(direction))


# --- adversaries ---------------------------------------------------------------------------------------------------------------------


def _wedge(X: FloatArray, w: FloatArray, angle: float, rng: Generator) -> FloatArray:
    """Rows on which the planted halfspace and one at an angle disagree, the most doubtful first."""
    tilt = rng.standard_normal(w.size)
    tilt -= (tilt @ w) * w
    length = float(np.linalg.norm(tilt))
    other = math.cos(angle) * w + math.sin(angle) * (tilt / length if length > 0.0 else np.zeros(w.size))
    return np.where((X @ w >= 0.0) != (X @ other >= 0.0), -np.abs(X @ w), np.inf)


def _near(X: FloatArray, w: FloatArray, angle: float, rng: Generator) -> FloatArray:
    return np.abs(X @ w)


def _far(X: FloatArray, w: FloatArray, angle: float, rng: Generator) -> FloatArray:
    return -np.abs(X @ w)


def _cap(X: FloatArray, w: FloatArray, angle: float, rng: Generator) -> FloatArray:
    """Rows labelled -1 with the largest coordinate orthogonal to the normal: a cap that is moved to the +1 side."""
    tilt = np.eye(w.size)[int(np.argmin(np.abs(w)))]
    tilt = tilt - (tilt @ w) * w
    return np.where(X @ w < 0.0, -(X @ tilt), np.inf)


ADVERSARIES: dict[str, Callable[[FloatArray, FloatArray, float, Generator], FloatArray]] = {
    "wedge": _wedge,
    "near": _near,
    "far": _far,
    "cap": _cap,
    "leverage": _far,  # rows are replaced, see `_leverage`
}
"""Adversaries of `make_halfspace`: a number for each row; the smallest are flipped first, infinite ones never."""


def make_halfspace(
    n: int,
    d: int,
    *,
    noise: Noise = "none",
    rate: float = 0.0,
    marginal: str = "gaussian",
    adversary: str | None = None,
    angle: float = 0.8,
    df: float = 5.0,
    weight: float | None = None,
    w: npt.ArrayLike | None = None,
    random_state: RandomStateLike = None,
) -> HalfspaceInstance:
    r"""Draw rows, label them by a planted halfspace, and spoil labels or rows.

    Parameters
    ----------
    n, d : int
        Rows and columns.
    noise : {"none", "rcn", "massart", "agnostic"}, default="none"
        ``"rcn"``: every label is flipped with probability `rate`. ``"massart"``: labels of the rows that the adversary chooses are, the
        others are right. ``"agnostic"``: the adversary flips ``floor(rate * n)`` labels of its choice, or fewer if it wants fewer.
    rate : float, default=0
        In [0, 1/2) for the first two, in [0, 1] for the last.
    marginal : str, default="gaussian"
        A key of `MARGINALS`; of unit covariance where the variance exists. ``"hidden-cluster"``: labels are random, two coordinates depend
        on them, and every descent of the ramp loss stops at 19 % mistakes although another halfspace makes none.
    adversary : str, optional
        A key of `ADVERSARIES`. By default ``"wedge"`` for Massart noise, where "near" and "far" choose half of the rows, and ``"cap"`` for
        agnostic noise; ``"leverage"`` replaces rows by ones far behind the hyperplane, labelled +1.
    angle : float, default=0.8
        Angle of the halfspace that "wedge" favours.
    df : float, default=5
        Degrees of freedom of ``"t"`` and ``"elliptical-t"``.
    weight : float, optional
        In [0, 1], for ``"mixture"`` (default 0.9) and ``"ngca"`` (0.7): the direction that is not Gaussian is :math:`\sqrt{1-l^2}N+lR` with
        R = -1 or +1, of fourth moment :math:`3-2l^4`.
    w : array-like of shape (d,), optional
        Normal to plant; by default a random one, or :math:`(e_1+e_2)/\sqrt2` for ``"gauss-hermite"``.
    random_state : None, int, Generator or RandomState
        Source of randomness.

    Returns
    -------
    HalfspaceInstance

    Raises
    ------
    ValueError
        Unknown names, a rate or weight outside its range, fewer columns than the marginal needs, an adversary without a use for it.

    Examples
    --------
    >>> from algos.testable_halfspaces.instances import make_halfspace
    >>> instance = make_halfspace(1000, 3, noise="agnostic", rate=0.05, adversary="near", random_state=0)
    >>> instance.name, instance.n_mistakes
    ('gaussian, agnostic 0.05 near', 50)
    >>> X, y, w = instance
    >>> X.shape, y.dtype.name, w.shape
    ((1000, 3), 'float64', (3,))
    """
    rows = check_range(n, name="n", low=1, integer=True)
    columns = check_range(d, name="d", low=2 if marginal in ("gauss-hermite", "hidden-cluster") else 1, integer=True)
    check_option(noise, ("none", "rcn", "massart", "agnostic"), name="noise")
    check_option(marginal, tuple(MARGINALS), name="marginal")
    bad_rate = {"none": 0.0, "agnostic": 1.0}.get(noise, 0.5)
    share = check_range(rate, name="rate", low=0.0, high=bad_rate, high_open=noise in ("rcn", "massart"))
    chosen = _checked_adversary(noise, adversary)
    shape = {
        "df": check_range(df, name="df", low=0.0, low_open=True),
        "weight": check_range((0.9 if marginal == "mixture" else 0.7) if weight is None else weight, name="weight", low=0.0, high=1.0),
    }
    rng = as_generator(random_state)
    if marginal == "hidden-cluster":
        if noise != "none" or w is not None:
            raise ValueError("marginal='hidden-cluster' has its own labels; use noise='none' and no w")
        return _hidden_cluster(rows, columns, rng)
    X, bad_direction = MARGINALS[marginal](rows, columns, rng, shape)
    planted = _planted(w, marginal, columns, rng)
    y = np.where(X @ planted >= 0.0, 1.0, -1.0)
    if chosen == "leverage":
        X, y, flips = _leverage(X, y, planted, share)
    else:
        flips = _flip_probabilities(X, planted, noise, share, chosen, angle, rng)
        y = np.where(rng.random(rows) < flips, -y, y)
    parts = [marginal, *([] if noise == "none" else [f"{noise} {share:g}{'' if chosen is None else ' ' + chosen}"])]
    mistakes = int(np.count_nonzero((X @ planted >= 0.0) != (y > 0.0)))
    gaussian = marginal == "gaussian" and not (chosen == "leverage" and share > 0.0)
    bad_direction = planted if chosen == "leverage" else bad_direction
    return HalfspaceInstance(
        name=", ".join(parts),
        X=_frozen(X),
        y=_frozen(y),
        w=_frozen(planted),
        noise=noise,
        rate=share,
        flips=_frozen(flips),
        n_mistakes=mistakes,
        gaussian=gaussian,
        bad_direction=None if bad_direction is None else _frozen(bad_direction),
    )


def _checked_adversary(noise: Noise, adversary: str | None) -> str | None:
    usable = {"none": (), "rcn": (), "massart": ("wedge", "near", "far"), "agnostic": tuple(ADVERSARIES)}[noise]
    if adversary is None:
        return {"massart": "wedge", "agnostic": "cap"}.get(noise)
    if not usable:
        raise ValueError(f"adversary={adversary!r} has nothing to choose with noise={noise!r}; use 'massart' or 'agnostic'")
    return check_option(adversary, usable, name="adversary")


def _planted(w: Any, marginal: str, d: int, rng: Generator) -> FloatArray:
    if w is not None:
        return unit_direction(w, d)
    if marginal == "gauss-hermite":
        return unit_direction(np.r_[1.0, 1.0, np.zeros(d - 2)], d)
    return _random_unit(d, rng)


def _flip_probabilities(
    X: FloatArray, w: FloatArray, noise: Noise, rate: float, adversary: str | None, angle: float, rng: Generator
) -> FloatArray:
    if noise in ("none", "rcn") or adversary is None:
        return np.full(len(X), rate)
    order = ADVERSARIES[adversary](X, w, angle, rng)
    wanted = np.flatnonzero(np.isfinite(order))
    if noise == "massart":
        count = wanted.size if adversary == "wedge" else len(X) // 2
    else:
        count = min(wanted.size, math.floor(rate * len(X) + 1e-9))
    flips = np.zeros(len(X))
    flips[wanted[np.argsort(order[wanted], kind="stable")[:count]]] = rate if noise == "massart" else 1.0
    return flips


def _leverage(X: FloatArray, y: FloatArray, w: FloatArray, rate: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Replace the first rows by ones far on the -1 side, labelled +1."""
    count = math.floor(rate * len(X) + 1e-9)
    X, y, flips = X.copy(), y.copy(), np.zeros(len(X))
    X[:count], y[:count], flips[:count] = LEVERAGE * w, 1.0, 1.0
    return X, y, flips


def _hidden_cluster(n: int, d: int, rng: Generator) -> HalfspaceInstance:
    """Make a second coordinate that tells the label, mostly by a margin of 0.05, beside a first one that is right in 80 %."""
    y = rng.choice([-1.0, 1.0], n)
    X = rng.standard_normal((n, d))
    X[:, 0] = y * np.where(rng.random(n) < 0.8, 1.0, -1.0)
    small = 0.05
    large = math.sqrt((1.0 - 0.95 * small**2) / 0.05)  # 4.4666: unit variance
    X[:, 1] = y * np.where(rng.random(n) < 0.95, small, large)
    w = np.eye(d)[1]
    return HalfspaceInstance("hidden-cluster", _frozen(X), _frozen(y), _frozen(w), "none", 0.0, _frozen(np.zeros(n)), 0, False, _frozen(w))


def _frozen(array: FloatArray) -> FloatArray:
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


def must_reject_panel(n: int, d: int, *, rate: float = 0.0, random_state: RandomStateLike = 0) -> dict[str, HalfspaceInstance]:
    """Return instances whose marginal is not Gaussian, by name: a tester must reject each, or certify no more than the truth.

    Parameters
    ----------
    n, d : int
        Shape, d at least 2.
    rate : float, default=0
        Random classification noise on top, but for the hidden cluster.
    random_state : None, int, Generator or RandomState, default=0
        Every instance has its own stream.

    Returns
    -------
    dict of str to HalfspaceInstance
        Products of t with 10, 5, 3 and 1.5 degrees of freedom, elliptical t(10), Laplace, uniform, cube, mixture, one planted direction,
        Gauss-Hermite nodes, hidden cluster, and Gaussian rows with 5 % far-off ones.

    Examples
    --------
    >>> sorted(must_reject_panel(100, 3))[:4]
    ['cube', 'elliptical-t(10)', 'gauss-hermite', 'hidden-cluster']
    """
    noise: Noise = "rcn" if rate > 0.0 else "none"
    options: dict[str, dict[str, Any]] = {
        **{f"t({df:g})": {"marginal": "t", "df": df} for df in (10.0, 5.0, 3.0, 1.5)},
        "elliptical-t(10)": {"marginal": "elliptical-t", "df": 10.0},
        **{name: {"marginal": name} for name in ("laplace", "uniform", "cube", "mixture", "ngca", "gauss-hermite")},
        "hidden-cluster": {"marginal": "hidden-cluster", "noise": "none", "rate": 0.0},
        "leverage": {"noise": "agnostic", "adversary": "leverage", "rate": 0.05},
    }
    streams = as_generator(random_state).spawn(len(options))
    return {
        name: make_halfspace(n, d, **({"noise": noise, "rate": rate, "random_state": stream} | chosen))
        for (name, chosen), stream in zip(options.items(), streams, strict=True)
    }
