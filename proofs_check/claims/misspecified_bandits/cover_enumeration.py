"""Claims about nets and the enumeration of directions: what is missed, how well a net covers, and how many points it has."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import AdaptiveAdversary, SparseCoverEnumeration, ball_net, cover_actions, sphere_net
from algos.misspecified_bandits._columns import largest_length
from algos.misspecified_bandits.bounds import cover_suboptimality, net_size
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.misspecified_bandits import _wrong_nets as wrong
from proofs_check.claims.misspecified_bandits._problems import (
    EPS,
    HARD_SHAPES,
    actions,
    decoded,
    few,
    rounding,
    searched_shapes,
    searched_size,
    searched_to_the_end,
    sparse_model,
    world,
)

cat = Catalogue("misspecified_bandits/cover_enumeration")

FloatArray = npt.NDArray[np.float64]

_PROOF = "docs/theory/misspecified_bandits.md, Covering directions"

# --- the enumeration ------------------------------------------------------------------------------------------------------------------


def _instance(point: Mapping[str, Any], X: FloatArray, theta: FloatArray, errors: str, eps: float) -> Instance:
    # a thin bound around the longest action on a support, for the formula; the learner reports its own
    params = {**point, "eps": eps, "R": float(np.linalg.norm(theta)) or 1.0, "length": largest_length(X, point["s"])}
    return Instance(params, {"X": X, "theta": theta, "errors": errors})


def _played(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    X = actions(rng, point["shape"], 80, point["d"])
    kind = point.get("errors") or str(rng.choice(["uniform", "signs", "flattened"]))
    theta = sparse_model(rng, point["d"], point["s"], R=point.get("length_of", float(rng.choice([0.25, 1.0, 4.0]))))
    return _instance(point, X, theta, kind, EPS if point["eta"] > 0.01 else 2.0**-7)


def _between(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Put the model half way between two directions of the net, and actions where each of them sees another one as the best."""
    eta = point["gap"]
    m = math.ceil(1.0 / eta)
    # a boundary of two cells near the middle of a face: directions (1, -1/m) and (1, 1/m) when m is even
    side = 1.0 / m if m % 2 == 0 else 2.0 / m
    u = np.array([1.0, 0.0 if m % 2 == 0 else 1.0 / m])
    u /= np.linalg.norm(u)
    t = np.array([-u[1], u[0]])
    tilt = min(side, eta)
    top = u * tilt * (1.0 - 1e-9)  # the best action: seen as such by the directions between, which the net has not
    X = np.array([top, t, -t, -u * tilt])
    return _instance({**point, "s": 2, "d": 2}, X, u, "opponent", 2.0**-40)


def _small(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    X, theta = decoded(x, point)
    length = largest_length(X, point["s"])
    if length < 1e-3:
        raise ValueError("no actions")
    return _instance(point, X / length, theta, "opponent", 2.0**-10)


def _random_small(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return _small(rng.standard_normal(searched_size(point)), point)


_SIZES = ((1, 4, 0.1), (2, 4, 0.3), (2, 4, 0.05), (3, 4, 0.4))


def _grid(shapes: tuple[str, ...], sizes: tuple[tuple[int, int, float], ...], **more: Any) -> tuple[dict[str, Any], ...]:
    nets = ("sphere", "ball")
    return tuple(
        {"shape": shape, "s": s, "d": d, "eta": eta, "net": net, **more} for shape in shapes for s, d, eta in sizes for net in nets
    )


def _mistake(name: str, make: Callable[[Any], Any], why: str, part: str) -> Mutant:
    return Mutant(name, "impl", {"learner": make}, why, part=part, killers=("MB-09",))


@cat.inequality(
    "MB-09",
    bound=cover_suboptimality,
    params=("eps", "eta", "length", "R"),
    attribute="SparseCoverEnumeration.bound_",
    budget=rounding(24, "s products and sums on each side of a difference, and the length behind the bound"),
    impl={"learner": SparseCoverEnumeration},
    families=[
        Family("typical", _played, grid=_grid(("sphere", "gaussian"), _SIZES)),
        Family("opposed", _played, grid=_grid(HARD_SHAPES, _SIZES[1:2], errors="opponent"), role="adversarial"),
        Family(
            "fine",
            _played,
            grid=tuple(
                {"shape": "sphere", "s": 2, "d": 3, "eta": 0.0005, "net": "sphere", "errors": "opponent", "length_of": R}
                for R in (0.0, 1.0)
            ),
            role="adversarial",
        ),
        Family(
            "between",
            _between,
            grid=tuple({"eta": eta, "gap": gap, "net": "sphere"} for eta, gap in ((0.5, 0.5), (0.1, 0.1), (0.07, 0.07), (0.05, 0.5))),
            role="adversarial",
        ),
        Family(
            "searched",
            _random_small,
            grid=({"n": 4, "s": 2, "eta": 0.25, "net": "sphere"}, {"n": 4, "s": 2, "eta": 0.25, "net": "ball"}),
            role="adversarial",
            search=SearchSpace(searched_size, _small, shapes=searched_shapes),
        ),
    ],
    budgets=few(4, 40, 400, evaluations=60),
    tight=0.9,
    companions=("MB-09a", "MB-09b", "MB-09d"),
    blind_to=("half of the part of the net: no instance was found that loses more than eta R B to it, so that 1 in place of 2 passes",),
    mutants=[
        Mutant(
            "eps_once",
            "bound",
            lambda f: lambda *, eps, eta, length, R: f(eps=eps / 2.0, eta=eta, length=length, R=R),
            "the error counts once",
            part="fine(*",
        ),
        Mutant(
            "no_net_error",
            "bound",
            lambda f: lambda *, eps, eta, length, R: f(eps=eps, eta=1e-3 * eta, length=length, R=R),
            "the net is taken for all directions",
            part="between(eta=0.1,*",
        ),
        Mutant(
            "unit_model",
            "bound",
            lambda f: lambda *, eps, eta, length, R: f(eps=eps, eta=1e-3 * eta / R, length=length, R=R),
            "the length of the model is left out of a bound for short ones",
            part="between(eta=0.1,*",
        ),
        _mistake("maxima_only", wrong.maxima_only, "the worst of every direction is left out: half of the sphere", "fine(*"),
        _mistake("eta_tenfold", wrong.coarser(10.0), "the net has a tenth of its points along an axis", "between(eta=0.05,*"),
        _mistake("one_face", wrong.one_face, "directions of the first face of the cube only", "fine(*"),
        _mistake("first_support", wrong.first_support, "the first s columns only", "fine(*"),
        _mistake(
            "worst_recommended",
            wrong.recommending_the_worst,
            "rewards are taken for costs",
            "typical(shape=gaussian,s=2,*eta=0.05,net=ball*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="what a net of directions misses",
    plain="When the best and the worst action in every direction of an eta-net were queried for all supports, the best one seen is within "
    "2 eps + 2 eta R B of the best action, for nets of directions and of weights, against errors that are chosen during play.",
    tex=r"\max_br(b)-r(\hat a)\le2\varepsilon+2\eta R\max_{a,S}\lVert\varphi_S(a)\rVert_2",
)
def suboptimality_of_the_best_extreme(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the suboptimality, with what the learner promises."""
    learner = impl.learner(s=inst.s, eps=inst.eps, R=inst.R, eta=inst.eta, net=inst.net)
    if inst.errors == "opponent":
        found = searched_to_the_end(AdaptiveAdversary(inst.X, inst.theta, inst.eps), learner, batch=1000)
    else:
        found = searched_to_the_end(world(rng, inst.X, inst.theta, inst.eps, inst.errors), learner, batch=1000)
    return Outcome(found, aux={"bound_": learner.bound_})


# --- covering -------------------------------------------------------------------------------------------------------------------------


def radius(*, eta: float) -> float:
    """Return the covering radius that a net is made for."""
    return eta


def _targets(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Draw vectors to cover: of length one, or of length at most R, half of them on the boundary of the ball."""
    s = point["s"]
    v = rng.standard_normal((300, s))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    if point["net"] == "ball":
        v *= point["R"] * np.where(rng.random((300, 1)) < 0.5, 1.0, rng.random((300, 1)) ** (1.0 / s))
    return Instance(dict(point), {"targets": v})


def _corners(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """List points that lie farthest from the midpoints of cells, corners, for the right number of cells and for one less."""
    s, eta, R = point["s"], point["eta"], point["R"]
    right = math.ceil(math.sqrt(s - 1.0) / eta) if point["net"] == "sphere" else math.ceil(math.sqrt(s) * R / eta)
    found = []
    for m in (right, max(right - 1, 1)):
        ticks = np.arange(-m, m + 1, 2) / m
        if point["net"] == "sphere":
            near = ticks[np.argsort(np.abs(ticks))[:5]]
            rest = np.array(list(itertools.product(near, repeat=s - 1)))
            faces = np.concatenate([np.insert(rest, f, 1.0, axis=1) for f in range(s)])
            found.append(faces / np.linalg.norm(faces, axis=1, keepdims=True))
        else:
            corners = np.array(list(itertools.product(ticks * R, repeat=s)))
            lengths = np.linalg.norm(corners, axis=1, keepdims=True)
            found.append(corners * np.minimum(1.0, R / np.maximum(lengths, R)))
    return Instance(dict(point), {"targets": np.concatenate(found)})


def _cells(net: str, s: int, m: int, R: float = 1.0) -> dict[str, Any]:
    """Name the net whose eta makes m cells along an axis with next to nothing to spare."""
    ratio = math.sqrt(s - 1.0) if net == "sphere" else math.sqrt(s) * R
    return {"net": net, "s": s, "eta": ratio / m * (1.0 + 1e-12), "R": R}


_NETS: tuple[dict[str, Any], ...] = (
    {"net": "sphere", "s": 1, "eta": 0.3, "R": 1.0},
    {"net": "ball", "s": 1, "eta": 0.3, "R": 1.0},
    {"net": "sphere", "s": 2, "eta": 0.2, "R": 1.0},
    {"net": "ball", "s": 2, "eta": 0.03, "R": 1.0},
    *(_cells("sphere", s, m) for s, m in ((2, 32), (3, 16), (4, 6))),
    *(_cells("ball", s, m, R) for s, m, R in ((2, 9, 1.0), (3, 8, 2.0), (4, 4, 1.0))),
)
_FACTS = FloatBudget(k=40, why="nets and targets have coordinates of size one; a distance is s squares, a sum and a root")


def _net(impl: Any, inst: Instance) -> FloatArray:
    if inst.net == "sphere":
        half = impl.sphere(inst.s, inst.eta)
        return np.concatenate([half, -half])
    return np.asarray(impl.ball(inst.s, inst.eta, inst.R))


@cat.inequality(
    "MB-09a",
    bound=radius,
    params=("eta",),
    budget=_FACTS,
    impl={"sphere": sphere_net, "ball": ball_net},
    families=[
        Family("typical", _targets, grid=_NETS),
        Family("corners", _corners, grid=tuple(point for point in _NETS if point["s"] > 1), role="adversarial"),
    ],
    budgets=few(2, 20, 200),
    tight=0.99,
    mutants=[
        Mutant("coarser", "impl", {"sphere": wrong.scaled_eta(1.3), "ball": wrong.scaled_eta(1.3)}, "a net for 1.3 eta"),
        Mutant("floor", "impl", {"ball": wrong.rounded_down}, "the number of cells is rounded down", part="corners(net=ball,s=3,*"),
        Mutant(
            "side_for_diagonal",
            "impl",
            {"sphere": wrong.side_for_diagonal},
            "half a side of a cell is eta, not half its diagonal",
            part="corners(net=sphere,s=4,*",
        ),
        Mutant(
            "face_forgotten",
            "impl",
            {"sphere": wrong.faces_but_one},
            "the last face of the cube is left out",
            part="typical(net=sphere,s=2,*",
        ),
        Mutant(
            "inner_half",
            "impl",
            {"ball": wrong.inside_only},
            "midpoints outside the ball are left out",
            part="typical(net=ball,s=3,*",
        ),
        Mutant(
            "not_normalised",
            "impl",
            {"sphere": wrong.not_normalised},
            "points of the cube are not projected",
            part="typical(net=sphere,s=3,*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="nets cover within eta",
    plain="Every direction, up to sign, lies within eta of a point of the net of directions, and every weight of length at most R within "
    "eta of a point of the net of weights: at random places, and at the corners of cells, which attain it.",
    tex=r"\max_u\min_{n\in N}\lVert u\mp n\rVert_2\le\eta",
)
def largest_distance(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the largest distance of a target from the net."""
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(_net(impl, inst)).query(inst.targets)
    return float(np.max(distances))


# --- sizes ----------------------------------------------------------------------------------------------------------------------------


def _counted(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance(dict(point))


@cat.identity(
    "MB-09b",
    bound=net_size,
    params=("s", "eta", "net", "R"),
    budget=FloatBudget(k=1, why="whole numbers below 2^53"),
    impl={"sphere": sphere_net, "ball": ball_net},
    families=[
        Family("typical", grid=_NETS),
        Family(
            "ratios",  # eta a simple fraction: the number of cells is a whole number before rounding up
            grid=tuple({"net": net, "s": 2, "eta": eta, "R": 1.0} for net in ("sphere", "ball") for eta in (0.5, 0.25, 1.0, 3.0)),
            role="adversarial",
        ),
    ],
    trials=1,
    mutants=[
        Mutant("both_signs", "impl", {"sphere": wrong.both_signs}, "both of n and -n are kept"),
        Mutant("cube", "impl", {"ball": wrong.whole_cube}, "corners of the cube outside the ball are kept", part="typical(net=ball,s=3,*"),
        Mutant("power_s", "bound", lambda f: lambda *, s, eta, net, R: f(s=s + 1, eta=eta, net=net, R=R), "one axis too many"),
        Mutant("repeated", "impl", {"sphere": wrong.with_a_copy}, "a direction is listed twice"),
    ],
    source=Source("derived", proof=_PROOF),
    title="nets have as many points as they say",
    plain="The nets of directions and of weights have as many distinct points, no two of the directions opposite, as the formula says.",
)
def number_of_points(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Count the distinct points; opposite directions, and points of the ball that no cell needs, do not count."""
    points = impl.sphere(inst.s, inst.eta) if inst.net == "sphere" else impl.ball(inst.s, inst.eta, inst.R)
    rounded = np.round(points, 12) + 0.0
    if inst.net == "sphere":
        lead = np.array([row[np.flatnonzero(row)[0]] for row in rounded])
        rounded = rounded * np.sign(lead)[:, None] + 0.0
        surplus = len(points) - len(np.unique(rounded, axis=0))
    else:
        surplus = len(points) - len(np.unique(rounded, axis=0))
        surplus += int(np.count_nonzero(np.linalg.norm(points, axis=1) > inst.R + inst.eta + 1e-12))
    return float(len(points) + surplus)


def _ball_volume(s: int, radius: float) -> float:
    return math.pow(math.pi, s / 2.0) / math.gamma(s / 2.0 + 1.0) * math.pow(radius, s)


@cat.inequality(
    "MB-09c",
    budget=FloatBudget(k=40, scale=lambda inst, out: float(np.max(np.abs(out.reference))), why="powers, a Gamma function and a division"),
    impl={"net_size": net_size},
    families=[
        Family(
            "sizes",
            _counted,
            grid=tuple(
                {"net": net, "s": s, "R": R} for net in ("sphere", "ball") for s, R in ((1, 1.0), (2, 1.0), (2, 3.0), (3, 1.0), (4, 1.0))
            ),
            role="enumeration",
        )
    ],
    trials=1,
    mutants=[
        Mutant(
            "power_s", "impl", {"net_size": wrong.one_more_axis}, "eta^-s directions where s - 1 are enough", part="sizes(net=sphere,s=3,*"
        ),
        Mutant("power_s_minus_1", "impl", {"net_size": wrong.one_axis_less}, "lengths are not covered", part="sizes(net=ball,s=3,*"),
        Mutant("length_ignored", "impl", {"net_size": wrong.unit_length}, "R plays no part", part="sizes(net=ball,s=2,R=3)"),
        Mutant("cube", "impl", {"net_size": wrong.cube_size}, "the cube instead of the ball", part="sizes(net=ball,s=4,*"),
    ],
    source=Source("derived", proof=_PROOF),
    title="nets grow like eta^(1-s) and eta^(-s)",
    plain="For eta from 1/2 down to 1/128 the number of directions lies between s (sqrt(s-1)/eta)^(s-1) and the same with one more cell "
    "along an axis, and the number of weights between what balls of radius R and R + 2 eta hold: exponents s - 1 and s.",
    tex=r"s\Bigl(\frac{\sqrt{s-1}}\eta\Bigr)^{s-1}\le|N_\eta|\le s\Bigl(\frac{\sqrt{s-1}}\eta+1\Bigr)^{s-1}",
)
def size_and_its_bracket(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return for each eta the lower end and the size, beside the size and the upper end."""
    s, R = inst.s, inst.R
    etas = 2.0 ** -np.arange(1, 8 if s < 4 else 5)
    size = np.array([float(impl.net_size(s=s, eta=float(eta), net=inst.net, R=R)) for eta in etas])
    if inst.net == "sphere":
        low, high = s * (math.sqrt(s - 1.0) / etas) ** (s - 1), s * (math.sqrt(s - 1.0) / etas + 1.0) ** (s - 1)
    else:  # cells of the kept midpoints cover the ball, and lie in a ball that is 2 eta larger
        cells = np.ceil(math.sqrt(s) * R / etas)
        low, high = (
            np.array([_ball_volume(s, R + more) for more in width]) * (cells / (2.0 * R)) ** s for width in (0.0 * etas, 2.0 * etas)
        )
    return Outcome(np.concatenate([low, size]), np.concatenate([size, high]))


# --- the extremes ---------------------------------------------------------------------------------------------------------------------


def _table(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance(dict(point), {"X": actions(rng, point["shape"], 70, point["d"])})


@cat.identity(
    "MB-09d",
    budget=FloatBudget(
        k=lambda inst, out: 4 * inst.s + 4,
        scale=lambda inst, out: 1.0 + inst.s * float(np.max(np.abs(inst.X))),
        why="a product of s terms with a unit vector on each side, in another order",
    ),
    impl={"cover_actions": cover_actions},
    families=[
        Family("typical", _table, grid=_grid(("gaussian",), _SIZES)),
        Family("adversarial", _table, grid=_grid(HARD_SHAPES, ((2, 4, 0.3),)), role="adversarial"),
    ],
    budgets=few(2, 20, 200),
    mutants=[
        Mutant("maxima_only", "impl", {"cover_actions": wrong.cover_by(minima=False)}, "the worst action of a direction is left out"),
        Mutant("first_support", "impl", {"cover_actions": wrong.cover_by(first=True)}, "the first s columns only"),
        Mutant("everything", "impl", {"cover_actions": wrong.all_actions}, "all actions are listed", part="typical(*eta=0.3,net=sphere)"),
        Mutant(
            "last_direction",
            "impl",
            {"cover_actions": wrong.cover_by(skip=True)},
            "one direction is left out",
            part="typical(*s=2,*eta=0.3,net=sphere)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the extremes of every direction",
    plain="For every support and every point of the net, the actions listed reach the largest and the smallest value over all actions, and "
    "where there are no ties, no others are listed.",
)
def extremes_of_directions(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return both extremes over the listed actions and their number, beside those by brute force."""
    X, s = inst.X, inst.s
    listed = impl.cover_actions(X, s, eta=inst.eta, net=inst.net)
    net = wrong.directions(s, inst.eta, inst.net)
    found, best, chosen = [], [], set()
    for support in itertools.combinations(range(X.shape[1]), s):
        values = X[:, list(support)] @ net.T
        found += [values[listed].max(axis=0), values[listed].min(axis=0)]
        best += [values.max(axis=0), values.min(axis=0)]
        chosen |= {*values.argmax(axis=0).tolist(), *values.argmin(axis=0).tolist()}
    number = float(len(chosen)) if inst.shape == "gaussian" else float(len(listed))
    return Outcome(np.concatenate([*found, [float(len(listed))]]), np.concatenate([*best, [number]]))
