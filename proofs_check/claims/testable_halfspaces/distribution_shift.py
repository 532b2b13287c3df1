"""Claims about other distributions: what a certificate says about rows it was not made from, and which predictions cannot change."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.binomial import clopper_pearson
from algos.testable_halfspaces._geometry import whitening_map
from algos.testable_halfspaces.certificates import HalfspaceCertificate, massart_certificate
from algos.testable_halfspaces.distribution_shift import ShiftBound, predict_mask, shift_bound
from algos.testable_halfspaces.instances import make_halfspace
from proofs_check import Budget, Catalogue, Family, FloatBudget, Instance, Interval, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._problems import ADVERSARIAL, MARGINALS, TYPICAL, grid, random_direction
from proofs_check.model import Tier

cat = Catalogue("testable_halfspaces/distribution_shift")

FloatArray = npt.NDArray[np.float64]
Shift = Callable[..., ShiftBound]
Mask = Callable[[HalfspaceCertificate, FloatArray], npt.NDArray[np.bool_]]

_SOURCE = Source("derived", proof="docs/theory/testable_halfspaces.md, Distribution shift")
_TILT = 0.001  # tangent of the angle between the certified halfspace, of normal e1, and the best one: what a learner leaves
_MISS = 1e-9  # probability that the certificate itself, made once for all trials of a part, is wrong
_NEAR = 0.002  # factor of the first coordinate of rows that an adversary puts next to the hyperplane

# --- the certificate, and rows from elsewhere ---------------------------------------------------------------------------------------------


def _certified(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Certify e1 on Gaussian rows that a halfspace nearby labels; how often the two differ elsewhere is known exactly."""
    eta, X = point.get("eta", 0.0), rng.standard_normal((20_000, 3))
    y = np.where((X[:, 0] + _TILT * X[:, 1] >= 0.0) ^ (rng.random(len(X)) < eta), 1.0, -1.0)
    certificate = massart_certificate(X, y, np.eye(3)[0], sigma=0.1 if eta == 0.0 else 0.5, eta=eta, delta=_MISS)
    error = point["share"] if point["rows"] == "wedge" else _differ(point["rows"])
    return Instance({"error": (1.0 - 2.0 * eta) * error, **point}, {"certificate": certificate})


@lru_cache(maxsize=8)
def _differ(rows: str) -> float:
    """Return how often the signs of x1 and of x1 + tilt x2 differ: an angle for Gaussian rows, else the integral over x1."""
    from scipy.integrate import quad
    from scipy.special import gamma, ndtr, stdtr

    if rows in ("same", "boundary"):
        return math.atan(_TILT if rows == "same" else _TILT / _NEAR) / math.pi
    if rows == "cube":
        return 0.0
    if rows == "shifted":
        return float(quad(lambda t: math.exp(-((t - 3.0) ** 2) / 2.0) / math.sqrt(2.0 * math.pi) * ndtr(-abs(t) / _TILT), -0.02, 0.02)[0])
    peak = gamma(1.25) / (math.sqrt(1.5 * math.pi) * gamma(0.75))
    return 2.0 * float(quad(lambda t: peak * (1.0 + t * t / 1.5) ** -1.25 * stdtr(1.5, -t / _TILT), 0.0, np.inf, points=None)[0])


def _elsewhere(inst: Instance, rng: np.random.Generator) -> FloatArray:
    n = inst.n
    if inst.rows == "wedge":  # between the two halfspaces, or far from both: no bound on the disagreement can be smaller
        return np.where((rng.random(n) < inst.share)[:, None], [0.5 * _TILT, -1.0, 0.0], [5.0, 0.0, 0.0])
    if inst.rows == "cube":
        return rng.choice([-1.0, 1.0], (n, 3))
    if inst.rows == "t1.5":
        return rng.standard_t(1.5, (n, 3))
    X = rng.standard_normal((n, 3))
    if inst.rows == "shifted":
        X[:, 0] += 3.0
    if inst.rows == "boundary":
        X[:, 0] *= _NEAR
    return X


def _training_rows_again(shift: Shift) -> Shift:
    return lambda certificate, X, delta: shift(certificate, np.random.default_rng(0).standard_normal((len(X), 3)), delta=delta)


def _measured_share(shift: Shift) -> Shift:
    def wrong(certificate: HalfspaceCertificate, X: FloatArray, delta: float) -> ShiftBound:
        found = shift(certificate, X, delta=delta)
        return replace(found, value=found.count / found.n)

    return wrong


def _lower_limit(shift: Shift) -> Shift:
    def wrong(certificate: HalfspaceCertificate, X: FloatArray, delta: float) -> ShiftBound:
        found = shift(certificate, X, delta=delta)
        return replace(found, value=clopper_pearson(found.count, found.n, 1.0 - delta, "lower"))

    return wrong


def _swapped_delta(shift: Shift) -> Shift:
    return lambda certificate, X, delta: shift(certificate, X, delta=1.0 - delta)


_COUNTED: dict[Tier, Budget] = {
    "quick": Budget(512, 32, slack_trials=64),
    "full": Budget(20_000, 32, slack_trials=512),
    "nightly": Budget(64_000, 32, slack_trials=4096),
}
_EPS, _DELTA = 0.1, 0.2
_WEDGE = {"rows": "wedge", "share": 0.1001, "n": 400}

# --- the bound and the decision -----------------------------------------------------------------------------------------------------------


@cat.soundness(
    "HS-23",
    levels=(_DELTA,),
    impl={"shift": shift_bound},
    families=[
        Family("typical", _certified, grid=grid("rows", ("same", "shifted"), n=400)),
        Family(
            "adversarial",
            _certified,
            grid=(*grid("rows", ("t1.5", "cube", "boundary"), n=400), _WEDGE),
            role="adversarial",
        ),
        Family("noisy", _certified, grid=({"rows": "same", "n": 400, "eta": 0.1},)),
    ],
    budgets=_COUNTED,
    mutants=[
        Mutant(
            "training_rows_again",
            "impl",
            {"shift": _training_rows_again},
            why="the disagreement is bounded on rows of the training distribution",
            part="adversarial(rows=boundary,*",
        ),
        Mutant(
            "measured_share",
            "impl",
            {"shift": _measured_share},
            why="the share of the rows seen is taken for a probability",
            part="adversarial(rows=wedge,*",
        ),
        Mutant(
            "lower_limit", "impl", {"shift": _lower_limit}, why="the lower confidence limit is reported", part="adversarial(rows=wedge,*"
        ),
        Mutant("one_minus_delta", "impl", {"shift": _swapped_delta}, why="delta was read as 1 - delta", part="adversarial(rows=wedge,*"),
    ],
    companions=("HS-23a",),
    source=_SOURCE,
    title="rows from elsewhere are accepted rightly",
    plain="A certified halfspace that is accepted for other rows, because its shift bound is at most eps, has an error (with noisy labels: "
    "an excess error) of at most eps there, but for a share delta of the draws of those rows, whatever their distribution.",
    tex=r"P\bigl(\mathrm{bound}(X')\le\varepsilon,\ \mathrm{err}_{\mathrm{test}}(w)>\varepsilon\bigr)\le\delta",
)
def accepted_though_wrong(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Accept if the bound allows, and return the exact error elsewhere."""
    bound = impl.shift(inst.certificate, _elsewhere(inst, rng), delta=_DELTA)
    return Outcome(inst.error, claimed=Interval(0.0, _EPS, "accepted below eps"), accepted=bound.value <= _EPS)


def _itself(*, n: int) -> float:
    """Ratio of an error to its bound."""
    return 1.0


@cat.tail(
    "HS-23a",
    bound=_itself,
    levels=(0.5, 0.1),
    delta_in_algorithm=True,
    impl={"shift": shift_bound},
    families=[
        Family("typical", _certified, grid=grid("rows", ("same",), n=400)),
        Family(
            "adversarial",
            _certified,
            grid=(*grid("rows", ("t1.5", "boundary"), n=400), {**_WEDGE, "share": 0.06}, {**_WEDGE, "share": 0.3}),
            role="adversarial",
        ),
    ],
    budgets=_COUNTED,
    mutants=[
        Mutant(
            "training_rows_again",
            "impl",
            {"shift": _training_rows_again},
            why="the disagreement is bounded on rows of the training distribution",
            part="adversarial(rows=boundary,*@0.1",
        ),
        Mutant(
            "measured_share", "impl", {"shift": _measured_share}, why="no confidence limit", part="adversarial(rows=wedge,share=0.3*@0.1"
        ),
        Mutant("lower_limit", "impl", {"shift": _lower_limit}, why="the wrong side", part="adversarial(rows=wedge,share=0.3*@0.1"),
        Mutant(
            "two_sided",
            "impl",
            {"shift": lambda f: lambda certificate, X, delta: f(certificate, X, delta=min(3.0 * delta, 0.9))},
            why="delta three times as large: the share of other steps is given to this one",
            part="adversarial(rows=wedge,share=0.3*@0.1",
        ),
    ],
    source=_SOURCE,
    title="the shift bound holds with its probability",
    plain="The error of the certified halfspace under another distribution exceeds the shift bound with probability at most delta; rows "
    "between the two halfspaces, or far from both, attain it.",
    tex=r"P\bigl(\mathrm{err}_{\mathrm{test}}(w)>\mathrm{bound}(X')\bigr)\le\delta",
)
def error_over_its_bound(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the exact error over the bound."""
    return float(inst.error / impl.shift(inst.certificate, _elsewhere(inst, rng), delta=inst.delta).value)


def _all_or_nothing(shift: Shift) -> Shift:
    def wrong(certificate: HalfspaceCertificate, X: FloatArray, delta: float) -> ShiftBound:
        found = shift(certificate, X, delta=delta)
        return found if found.decided == 1.0 else replace(found, value=1.0)

    return wrong


@cat.completeness(
    "HS-23d",
    levels=(0.1,),
    impl={"shift": shift_bound},
    families=[
        Family("same", _certified, grid=({"rows": "same", "n": 2000}, {"rows": "same", "n": 2000, "eta": 0.1})),
        Family("elsewhere", _certified, grid=grid("rows", ("shifted", "cube"), n=2000), role="adversarial"),
    ],
    budgets=_COUNTED,
    mutants=[
        Mutant("all_or_nothing", "impl", {"shift": _all_or_nothing}, why="1 unless no row is in doubt", part="same(rows=same,n=2000)*"),
        Mutant(
            "degrees",
            "impl",
            {"shift": lambda f: lambda c, X, delta: f(replace(c, theta=min(math.degrees(c.theta), 1.5)), X, delta=delta)},
            why="the angle in degrees is taken for one in radians",
            part="same(rows=same,n=2000)*",
        ),
        Mutant(
            "always_trivial",
            "impl",
            {"shift": lambda f: lambda c, X, delta: f(replace(c, tau=math.inf), X, delta=delta)},
            why="a certificate that confines is treated as one that does not",
            part="elsewhere(rows=shifted,*",
        ),
    ],
    source=_SOURCE,
    title="rows of the same distribution are accepted",
    plain="Rows of the training distribution, and harmless rows from elsewhere, have a shift bound of at most twice the certified eps_hat, "
    "in at least nine of ten draws.",
)
def harmless_rows_accepted(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Accept if the bound is at most twice what the certificate says about its own distribution."""
    certificate = inst.certificate
    own = clopper_pearson(certificate.disagreement, certificate.n, 1.0 - certificate.delta / 2.0, "upper")
    return Outcome(0.0, accepted=impl.shift(certificate, _elsewhere(inst, rng), delta=0.1).value <= 2.0 * own)


# --- every halfspace of the cone --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _confined(d: int) -> HalfspaceCertificate:
    """Return a certificate that confines; its normal and its angle are replaced below by those of the instance."""
    X = np.random.default_rng(0).standard_normal((20_000, d))
    found = massart_certificate(X, np.where(X[:, 0] >= 0.0, 1.0, -1.0), np.eye(d)[0], sigma=0.2, eta=0.0)
    assert found.confined
    return found


def _cone(w: FloatArray, theta: float, **changes: Any) -> HalfspaceCertificate:
    return replace(_confined(2), w=w / np.linalg.norm(w), theta=theta, tau=math.tan(theta), **changes)


def _rows_in_the_plane(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    X = make_halfspace(point["n"], 2, random_state=rng, **MARGINALS[point["marginal"]]).X
    return Instance(dict(point), {"X": X, "w": random_direction(rng, 2)})


def _searched_rows(vector: FloatArray, params: Mapping[str, Any]) -> Instance:
    X, w = np.reshape(vector[:-2], (-1, 2)), vector[-2:]
    if np.linalg.norm(w) < 1e-3:
        raise ValueError("no direction")
    return Instance(dict(params), {"X": X, "w": w / np.linalg.norm(w)})


_INSIDE = 1.0 - 1e-9  # of the angle: rows that touch the cone up to rounding may be counted or not


def _rivals(w: FloatArray, theta: float) -> FloatArray:
    """Return the two extreme halfspaces of a cone in the plane: any other one differs from w on a subset of what these do."""
    tilt = np.array([-w[1], w[0]])
    return np.array([math.cos(theta) * w + math.sin(theta) * tilt, math.cos(theta) * w - math.sin(theta) * tilt])


@cat.inequality(
    "HS-23b",
    budget=FloatBudget(k=1, why="whole numbers of rows"),
    impl={"shift": shift_bound, "mask": predict_mask},
    families=[
        Family("typical", _rows_in_the_plane, grid=tuple({"marginal": m, "n": 50, "theta": t} for m in TYPICAL[:2] for t in (0.05, 0.7))),
        Family(
            "adversarial",
            _rows_in_the_plane,
            grid=tuple({"marginal": m, "n": 50, "theta": t} for m in ADVERSARIAL[:3] for t in (0.05, 1.2)),
            role="adversarial",
        ),
        Family(
            "searched",
            lambda rng, point: _searched_rows(rng.standard_normal(2 * point["n"] + 2), point),
            grid=tuple({"n": 4, "theta": t} for t in (0.1, 0.8)),
            role="adversarial",
            search=SearchSpace(lambda p: 2 * p["n"] + 2, _searched_rows, shapes=lambda p: ((p["n"], 2), (2,))),
        ),
    ],
    budgets={
        "quick": Budget(8, 1, search_evals=250),
        "full": Budget(64, 1, search_evals=5000),
        "nightly": Budget(512, 1, search_evals=50_000),
    },
    tight=1.0,
    mutants=[
        Mutant(
            "half_of_the_angle",
            "impl",
            {"shift": lambda f: lambda c, X: f(replace(c, theta=c.theta / 2.0), X)},
            why="the angle between the two sides of the cone is taken for the one to its axis",
            part="typical(marginal=gaussian,n=50,theta=0.7)",
        ),
        Mutant(
            "angle_for_tangent",
            "impl",
            {"mask": lambda f: lambda c, X: f(replace(c, theta=math.atan(c.theta)), X)},
            why="the angle is used where its tangent is due",
            part="adversarial(*theta=1.2)",
        ),
        Mutant(
            "undecided_rows_halved",
            "impl",
            {"shift": lambda f: lambda c, X: replace(f(c, X), count=f(c, X).count // 2)},
            why="only rows on one side of the hyperplane are counted",
            part="typical(marginal=gaussian,n=50,theta=0.7)",
        ),
        Mutant(
            "mask_of_the_other_side",
            "impl",
            {"mask": lambda f: lambda c, X: ~f(c, X)},
            why="rows in doubt are reported as decided",
            part="typical(marginal=gaussian,n=50,theta=0.7)",
        ),
    ],
    companions=("HS-23c",),
    source=_SOURCE,
    title="no halfspace of the cone differs more",
    plain="In the plane, where the extreme halfspaces of the cone are two, neither differs from w on more rows than were counted, and "
    "neither changes the side of a row that was reported as decided.",
    tex=r"\max_{\angle(w,w')\le\hat\theta}\#\{i:h_w(x_i)\ne h_{w'}(x_i)\}\le k",
)
def rows_that_change_sides(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return how many rows the worse of two extreme halfspaces classifies differently, and how many of them were reported as decided."""
    certificate = _cone(inst.w, inst.theta)
    sides = inst.X @ _rivals(certificate.w, inst.theta * _INSIDE).T >= 0.0
    differ = sides != (inst.X @ certificate.w >= 0.0)[:, None]
    decided = impl.mask(certificate, inst.X)
    worst = float(differ.sum(axis=0).max())
    return Outcome(np.array([worst, float(differ[decided].sum())]), np.array([float(impl.shift(certificate, inst.X).count), 0.0]))


def _rows_in_space(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    X = make_halfspace(60, point["d"], random_state=rng, **MARGINALS[point["marginal"]]).X * 2.0 + point.get("shift", 0.0)
    return Instance(dict(point), {"X": X, "w": random_direction(rng, point["d"] + bool(point.get("lift", False)))})


@cat.identity(
    "HS-23c",
    budget=FloatBudget(k=1, why="whole numbers, equal or not"),
    impl={"mask": predict_mask},
    families=[
        Family("typical", _rows_in_space, grid=tuple({"marginal": m, "d": d, "theta": 0.2} for m in TYPICAL for d in (2, 5))),
        Family(
            "adversarial",
            _rows_in_space,
            grid=tuple({"marginal": m, "d": 3, "theta": t} for m in ADVERSARIAL for t in (0.01, 0.6)),
            role="adversarial",
        ),
        Family("intercept", _rows_in_space, grid=({"marginal": "laplace", "d": 2, "theta": 0.3, "shift": 3.0, "lift": True},)),
    ],
    trials={"quick": 4},
    mutants=[
        Mutant(
            "length_of_the_row",
            "impl",
            {"mask": lambda f: lambda c, X: np.abs(X @ c.w) > np.linalg.norm(X, axis=1) * math.tan(c.theta) if not c.lift else f(c, X)},
            why="the length of the row is taken for that of its part orthogonal to w",
            part="typical(marginal=gaussian,d=2,theta=0.2)",
        ),
        Mutant(
            "cotangent",
            "impl",
            {"mask": lambda f: lambda c, X: f(replace(c, theta=math.pi / 2.0 - c.theta), X)},
            why="tangent and cotangent are swapped",
            part="typical(marginal=gaussian,d=5,theta=0.2)",
        ),
        Mutant(
            "transform_forgotten",
            "impl",
            {"mask": lambda f: lambda c, X: f(replace(c, transform=None), X)},
            why="the cone is taken in the coordinates of the rows, not in those in which it was certified",
            part="intercept(*",
        ),
        Mutant(
            "cautious_by_a_fifth",
            "impl",
            {"mask": lambda f: lambda c, X: f(replace(c, theta=1.2 * c.theta), X)},
            why="a cone that is too wide: safe, but more rows are in doubt than need be",
            part="typical(marginal=laplace,d=5,theta=0.2)",
        ),
    ],
    source=_SOURCE,
    title="decided rows are those that no halfspace changes",
    plain="A row is reported as decided exactly if the halfspace of the cone that is worst for it leaves it on its side, also with "
    "intercepts and after a linear map.",
    tex=r"\lvert t_i\rvert>\lvert z_i\rvert\tan\hat\theta",
)
def decided_rows(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the mask beside what the halfspace of the cone does that is worst for each row."""
    lift = bool(inst.params.get("lift", False))
    T = whitening_map(inst.X, lift=True) if lift else None
    certificate = _cone(inst.w, inst.theta, lift=lift, transform=T)
    rows = inst.X if T is None else np.column_stack([inst.X, np.ones(len(inst.X))]) @ T
    w = certificate.w if T is None else np.linalg.solve(T, certificate.w)
    w = w / np.linalg.norm(w)
    across = rows - np.outer(rows @ w, w)
    across *= -(np.where(rows @ w >= 0.0, 1.0, -1.0) / np.linalg.norm(across, axis=1))[:, None]
    worst = math.cos(inst.theta) * w + math.sin(inst.theta) * across
    stays = (np.sum(worst * rows, axis=1) >= 0.0) == (rows @ w >= 0.0)
    return Outcome(impl.mask(certificate, inst.X).astype(float), stays.astype(float))
