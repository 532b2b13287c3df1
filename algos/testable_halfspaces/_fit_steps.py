"""The steps of a fit: folds, candidates, the choice among them, certificate and tests. No scikit-learn here."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.testable_halfspaces._best_width import predicted_angle
from algos.testable_halfspaces._certificate_steps import agnostic_steps, blank_certificate, massart_steps
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._halfspace_certificate import HalfspaceCertificate
from algos.testable_halfspaces._search import Cones, Search
from algos.testable_halfspaces._target_map import TargetMap, Transform, chosen_rows
from algos.testable_halfspaces.ramp_learner import Candidate, RampPath, ramp_path

__all__ = ["Certified", "Chosen", "Learned", "candidates_table", "certify_chosen", "choose", "largest_noise", "learn", "mistakes", "split"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Noise = Literal["agnostic", "massart"]

_PATIENCE = 2
"""Bands are judged from narrow to wide, which is from cheap to dear, until so many in a row are no better than the best one."""

_SHORTLIST = {"massart": 2, "agnostic": 1}
"""Candidates that are certified. For Massart noise the best width lies next to those too narrow to certify anything: a second candidate
costs ln 2 in the deviation and insures against that."""

_LEAST = 4  # rows of a fold


def split(n: int, learn_fraction: float, rng: np.random.Generator) -> BoolArray:
    """Return which rows certify: a random share of them, chosen without a look at rows or labels."""
    if n < 2 * _LEAST:
        raise ValueError(f"X has n_samples={n} rows, at least {2 * _LEAST} are needed: {_LEAST} that learn and {_LEAST} that certify")
    n_learn = min(max(round(learn_fraction * n), _LEAST), n - _LEAST)
    certifies = np.ones(n, dtype=bool)
    certifies[rng.permutation(n)[:n_learn]] = False
    return certifies


@dataclass(frozen=True, eq=False)
class Learned:
    """What the learning rows gave.

    Attributes
    ----------
    map : TargetMap
    rows : RowSource
        Learning rows, mapped and lifted.
    labels : ndarray of shape (n_learn,)
    path : RampPath
        Candidates for mapped rows.
    """

    map: TargetMap
    rows: RowSource
    labels: FloatArray
    path: RampPath


def learn(
    X: npt.NDArray[Any],
    labels: FloatArray,
    chosen: BoolArray,
    *,
    transform: Transform,
    lift: bool,
    rng: np.random.Generator,
    **options: Any,
) -> Learned:
    """Fit the map and the path of candidates on the chosen rows; further options go to `ramp_path`."""
    every = np.ones(X.shape[1], dtype=bool)
    target = TargetMap.fit(chosen_rows(X, chosen, every, copy=False), transform, lift=lift)
    rows, own = target.rows(X, chosen), labels[chosen]
    return Learned(target, rows, own, ramp_path(rows, own, random_state=rng, **options))


@dataclass(frozen=True, eq=False)
class Chosen:
    """The candidates that the learning rows recommend for certification.

    Attributes
    ----------
    candidates : tuple of Candidate
        The most promising one first.
    tau : float
        Tangent of the angle that a certificate of the first is expected to exclude; infinite where none is.
    promises : tuple of float
        What each candidate of the path promised: a tangent for Massart noise, mistakes of every halfspace for agnostic noise; NaN for
        candidates that were not tried.
    """

    candidates: tuple[Candidate, ...]
    tau: float
    promises: tuple[float, ...]


def choose(learned: Learned, noise: Noise, *, eta: float, delta: float, n_certify: int, quartic: bool) -> Chosen:
    """Choose halfspaces and widths for the certificate on the learning rows alone.

    Nothing that certifies or tests has been seen: delta is divided among few certificates, and the tests of the band are calibrated for a
    fixed halfspace.
    """
    candidates = learned.path.candidates
    kept = min(_SHORTLIST[noise], len(candidates))
    order = sorted(range(len(candidates)), key=lambda i: candidates[i].sigma)
    found: dict[int, _Promise] = {}
    waited = 0
    for i in order:
        judged = (
            _judge_massart(learned, candidates[i], 1.0 - 2.0 * eta, math.log(4.0 * kept / delta), n_certify, quartic)
            if noise == "massart"
            else _judge_agnostic(learned, candidates[i], quartic)
        )
        useful = any(math.isfinite(entry.tau) for entry in found.values())
        waited = waited + 1 if useful and judged.key >= min(entry.key for entry in found.values()) else 0
        found[i] = judged
        if waited >= _PATIENCE:
            break
    ranked = sorted(found, key=lambda i: found[i].key)[:kept]
    promises = tuple(found[i].value if i in found else math.nan for i in range(len(candidates)))
    return Chosen(tuple(candidates[i] for i in ranked), found[ranked[0]].tau, promises)


@dataclass(frozen=True)
class _Promise:
    """What the learning rows say about a certificate: a key that is smaller the better, the tangent expected, and a number to report."""

    key: tuple[float, ...]
    tau: float
    value: float


def _judge_massart(learned: Learned, candidate: Candidate, advantage: float, log_term: float, n_certify: int, quartic: bool) -> _Promise:
    """Labels are not looked at beyond the choice of the halfspace itself."""
    search = Search.of(View.of(learned.rows, candidate.w), learned.labels, candidate.sigma, quartic=quartic)
    tau = predicted_angle(search, advantage, log_term, n_certify, len(learned.labels))
    return _Promise((tau, float(candidate.n_mistakes)), tau, tau)


def _judge_agnostic(learned: Learned, candidate: Candidate, quartic: bool) -> _Promise:
    view = View.of(learned.rows, candidate.w)
    sure = np.abs(view.t) > view.blur
    wrong = (view.t >= 0.0) != (learned.labels > 0.0)
    rival = int(min(np.count_nonzero(wrong & sure), np.count_nonzero(~wrong & sure)))
    search = Search.of(view, learned.labels, candidate.sigma, quartic=quartic, cones=Cones(view, ~sure))
    found = search.most_mistakes(rival) if rival else None
    if found is not None:
        return _Promise((-float(found[0] + 1), float(candidate.n_mistakes)), found[1].tau, float(found[0] + 1))
    missing = search.slack(0) - search.limit(1.0) if view.k else 0.0
    return _Promise((max(missing, 0.0), float(candidate.n_mistakes)), math.inf, 0.0)


@dataclass(frozen=True, eq=False)
class Certified:
    """A certificate, the candidate that it is about, and the search that can certify more of it."""

    certificate: HalfspaceCertificate
    candidate: Candidate
    search: Search


def certify_chosen(
    rows: RowSource, labels: FloatArray, target: TargetMap, chosen: Chosen, noise: Noise, *, eta: float, delta: float, quartic: bool
) -> Certified:
    """Certify the chosen candidates in the user's columns and return the best certificate; `rows` are not mapped."""
    made: list[Certified] = []
    for candidate in chosen.candidates:
        normal, T, settled = target.normal(candidate.w), target.matrix, None
        view = View.of(rows, normal, lift=target.lift, transform=T)
        if noise == "agnostic":
            settled = np.abs(view.t) <= view.blur
        search = Search.of(view, labels, candidate.sigma, quartic=quartic, cones=Cones(view, settled))
        K, digest = len(chosen.candidates), made[0].certificate.digest if made else None
        blank = blank_certificate(search, labels, normal, noise, T, delta, K, eta if noise == "massart" else math.nan, digest)
        done = massart_steps(search, blank, eta) if noise == "massart" else agnostic_steps(search, blank)
        made.append(Certified(done, candidate, search))
    return min(
        made, key=lambda one: (one.certificate.eps_hat, one.certificate.mistakes) if noise == "massart" else (-one.certificate.optimum, 0)
    )


def largest_noise(search: Search, certificate: HalfspaceCertificate, eps: float | None, steps: int) -> float:
    """Return a flip probability, nearly the largest, for which the excess is certified to be at most eps (to be more than trivial)."""
    fresh = replace(certificate, vacuous=True, eps_hat=1.0, tau=math.inf)

    def good(eta: float) -> bool:
        made = massart_steps(search, fresh, eta)
        return not made.vacuous and (eps is None or made.eps_hat <= eps)

    low, high = (certificate.eta, 0.5) if good(certificate.eta) else (0.0, certificate.eta)
    if low == 0.0 and not good(0.0):
        return math.nan
    for _ in range(steps):
        middle = (low + high) / 2.0
        low, high = (middle, high) if good(middle) else (low, middle)
    return low


def mistakes(rows: RowSource, labels: FloatArray, normal: FloatArray, *, lift: bool) -> int:
    """Return how many rows a halfspace gets wrong."""
    w, b = (normal[:-1], float(normal[-1])) if lift else (normal, 0.0)
    return sum(int(np.count_nonzero((block.X @ w + b >= 0.0) != (labels[block.start : block.stop] > 0.0))) for block in rows)


def candidates_table(path: RampPath, chosen: Chosen, normals: Iterable[FloatArray]) -> npt.NDArray[np.void]:
    """Return the candidates as a structured array."""
    kept = [np.asarray(normal) for normal in normals]
    fields: list[Any] = [
        ("sigma", "f8"), ("loss", "f8"), ("gradient_norm", "f8"), ("n_iter", "i8"), ("n_mistakes", "i8"), ("status", "U18"),
        ("start", "U8"), ("promise", "f8"), ("certified", "?"), ("w", "f8", kept[0].shape),
    ]  # fmt: skip
    rows = [
        (c.sigma, c.loss, c.gradient_norm, c.n_iter, c.n_mistakes, c.status, c.start, promise, c in chosen.candidates, normal)
        for c, promise, normal in zip(path.candidates, chosen.promises, kept, strict=True)
    ]
    return np.array(rows, dtype=fields)
