"""The steps of a fit: folds, candidates, the choice among them, certificate and tests. No scikit-learn here."""

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from algos.common.binomial import clopper_pearson
from algos.common.blocks import RowSource
from algos.testable_halfspaces._best_width import predicted_angle
from algos.testable_halfspaces._certificate_steps import agnostic_steps, blank_certificate, massart_steps
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._halfspace_certificate import HalfspaceCertificate
from algos.testable_halfspaces._labelled_rows import LabelledRows
from algos.testable_halfspaces._search import Cones, Search
from algos.testable_halfspaces._target_map import TargetMap, Transform, chosen_rows, is_on_disk
from algos.testable_halfspaces.bounds import gradient_deviation, side_deviation
from algos.testable_halfspaces.ramp_learner import Candidate, RampPath, ramp_path

__all__ = [
    "Certified",
    "Chosen",
    "Learned",
    "Table",
    "candidates_table",
    "certify_chosen",
    "choose",
    "largest_noise",
    "learn",
    "mistakes",
    "split",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Noise = Literal["agnostic", "massart"]

_PATIENCE = 2  # promises have one peak over the widths, up to noise

_SHORTLIST = {"massart": 2, "agnostic": 1}
"""Candidates that are certified. For Massart noise the best width lies next to those too narrow to certify anything: a second candidate
costs ln 2 in the deviation and insures against that."""

_JUDGED_ROWS = 50_000
"""Learning rows on which widths are compared for agnostic noise: beyond so many, the best width hardly depends on their number."""

_WIDENINGS, _CAUTION, _MOST_WIDENED, _NOISE_STEPS = 1, 0.9, 8.0, 8

_LEAST = 4  # rows of a fold


@dataclass(frozen=True, eq=False)
class Table:
    """All rows and those that certify, in the columns in use.

    Attributes
    ----------
    every, tested : RowSource
    labels, tested_labels : ndarray of shape (n,) and (n_certify,)
    """

    every: RowSource
    tested: RowSource
    labels: FloatArray
    tested_labels: FloatArray

    @classmethod
    def of(cls, X: npt.NDArray[Any], labels: FloatArray, certifies: BoolArray, columns: BoolArray) -> "Table":
        """Copy the rows that certify; those of a file are read again in every pass."""
        return cls(chosen_rows(X, None, columns), chosen_rows(X, certifies, columns), labels, labels[certifies])


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
    given = chosen_rows(X, chosen, every)
    from sklearn.exceptions import ConvergenceWarning

    target = TargetMap.fit(given, transform, lift=lift)
    if not target.columns.all():
        given = chosen_rows(X, chosen, target.columns)
    rows, own = target.rows(given, lift=lift, stream=is_on_disk(X)), labels[chosen]
    with warnings.catch_warnings():
        # a descent that was cut short is a candidate like any other, its certificate measures the gradient; `candidates_` tells
        warnings.simplefilter("ignore", ConvergenceWarning)
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
    expected_share : float
        Agnostic: the share of mistakes of every halfspace that the first is expected to prove.
    promises : tuple of float
        What each candidate of the path promised: a tangent for Massart noise, the share of mistakes of every halfspace for agnostic
        noise; NaN for candidates that were not tried.
    """

    candidates: tuple[Candidate, ...]
    tau: float
    expected_share: float
    promises: tuple[float, ...]


def choose(learned: Learned, noise: Noise, *, eta: float, delta: float, n_certify: int, quartic: bool) -> Chosen:
    """Choose halfspaces and widths for the certificate on the learning rows alone.

    Nothing that certifies or tests has been seen: delta is divided among few certificates, and the tests of the band are calibrated for a
    fixed halfspace.
    """
    candidates = learned.path.candidates
    kept = min(_SHORTLIST[noise], len(candidates))
    narrow_first = range(len(candidates) - 1, -1, -1)
    if noise == "massart":
        log_term = math.log(4.0 * kept / delta)
        found = _climb(lambda i: _judge_massart(learned, candidates[i], 1.0 - 2.0 * eta, log_term, n_certify, quartic), narrow_first)
    else:
        sample = LabelledRows(learned.rows, learned.labels).sample(_JUDGED_ROWS, np.random.default_rng(0))
        found = _climb(lambda i: _judge_agnostic(sample, candidates[i], quartic), narrow_first)
    ranked = sorted(found, key=lambda i: found[i].key)[:kept]
    promises = tuple(found[i].value if i in found else math.nan for i in range(len(candidates)))
    best = found[ranked[0]]
    return Chosen(tuple(candidates[i] for i in ranked), best.tau, best.value if noise == "agnostic" else 0.0, promises)


def _climb(judge: Callable[[int], "_Promise"], places: Iterable[int]) -> dict[int, "_Promise"]:
    """Judge widths in turn until so many in a row are no better than the best one; narrow bands are the cheap ones."""
    found: dict[int, _Promise] = {}
    waited = 0
    for i in places:
        judged = judge(i)
        known = any(math.isfinite(entry.tau) for entry in found.values())
        waited = waited + 1 if known and judged.key >= min(entry.key for entry in found.values()) else 0
        found[i] = judged
        if waited >= _PATIENCE:
            break
    return found


@dataclass(frozen=True)
class _Promise:
    """What the learning rows say about a certificate: a key that is smaller the better, the tangent expected, and a number to report."""

    key: tuple[float, ...]
    tau: float
    value: float


def _judge_massart(learned: Learned, candidate: Candidate, advantage: float, log_term: float, n_certify: int, quartic: bool) -> _Promise:
    search = Search.of(View.of(learned.rows, candidate.w), learned.labels, candidate.sigma, quartic=quartic)
    tau = predicted_angle(search, advantage, log_term, n_certify, len(learned.labels))
    return _Promise((tau, float(candidate.n_mistakes)), tau, tau)


def _judge_agnostic(rows: LabelledRows, candidate: Candidate, quartic: bool) -> _Promise:
    view = View.of(rows.source, candidate.w)
    sure = np.abs(view.t) > view.blur
    wrong = (view.t >= 0.0) != (rows.labels > 0.0)
    rival = int(min(np.count_nonzero(wrong & sure), np.count_nonzero(~wrong & sure)))
    search = Search.of(view, rows.labels, candidate.sigma, quartic=quartic, cones=Cones(view, ~sure))
    found = search.most_mistakes(rival) if rival else None
    if found is not None:
        share = (found[0] + 1) / view.n
        return _Promise((-share, float(candidate.n_mistakes)), found[1].tau, share)
    missing = search.slack(0) - search.limit(1.0) if view.k else 0.0
    return _Promise((max(missing, 0.0), float(candidate.n_mistakes)), math.inf, 0.0)


@dataclass(frozen=True, eq=False)
class Certified:
    """A certificate, the candidate that it is about, and the search that can certify more of it."""

    certificate: HalfspaceCertificate
    candidate: Candidate
    search: Search


def certify_chosen(
    rows: RowSource,
    labels: FloatArray,
    target: TargetMap,
    chosen: Chosen,
    noise: Noise,
    *,
    eta: float,
    delta: float,
    quartic: bool,
    sos: bool = False,
) -> Certified:
    """Certify the chosen candidates in the user's columns and return the best certificate; `rows` are not mapped."""
    made: list[Certified] = []
    for candidate in chosen.candidates:
        normal, T, settled = target.normal(candidate.w), target.matrix, None
        view = View.of(rows, normal, lift=target.lift, transform=T)
        if noise == "agnostic":
            settled = np.abs(view.t) <= view.blur
        search = Search.of(view, labels, candidate.sigma, quartic=quartic, cones=Cones(view, settled), sos=sos)
        K, digest = len(chosen.candidates), made[0].certificate.digest if made else None
        blank = blank_certificate(search, labels, normal, noise, T, delta, K, eta if noise == "massart" else math.nan, digest)
        guess = int(chosen.expected_share * len(labels))
        done = massart_steps(search, blank, eta) if noise == "massart" else agnostic_steps(search, blank, guess=guess)
        made.append(Certified(done, candidate, search))
    return min(
        made, key=lambda one: (one.certificate.eps_hat, one.certificate.mistakes) if noise == "massart" else (-one.certificate.optimum, 0)
    )


def largest_noise(search: Search, certificate: HalfspaceCertificate, eps: float | None) -> float:
    """Return a flip probability, nearly the largest, for which the excess is certified to be at most eps (to be more than trivial).

    The excess is at most eps while the excluded angle is; so the widest such angle is looked for first, near the one at which the
    disagreement found grows in proportion to the tangent, and then the noise for which it is excluded.
    """
    c, n = certificate, certificate.n
    enough = min(c.error_upper, 0.5) * (1.0 - 1e-12) if eps is None else eps
    if c.vacuous or c.eps_hat > enough:
        return math.nan
    log_term, level = math.log(4.0 * c.n_candidates / c.delta), 1.0 - c.delta / (2.0 * c.n_candidates)
    tau, count = c.tau, c.disagreement
    for _ in range(_WIDENINGS):
        wider = tau * min(_CAUTION * enough * n / max(count, 1), _MOST_WIDENED) if search.view.k else tau
        cone = search.cones(wider) if wider > tau else None
        if cone is None or clopper_pearson(cone.count, n, level, "upper") > enough:
            break
        tau, count = wider, cone.count

    def good(eta: float) -> bool:
        advantage, statistics = 1.0 - 2.0 * eta, search.statistics
        noise = gradient_deviation(second=statistics.N2, largest=2.0 * statistics.largest, log_term=log_term, n=n, advantage=advantage)
        reverse = c.sure_hits > n * (eta + side_deviation(log_term=log_term, n=n)) + count
        return reverse and (not search.view.k or search.push(tau, advantage).value > (statistics.G + noise) * (1.0 + 1e-12))

    low, high = c.eta, 0.5
    for _ in range(_NOISE_STEPS):
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
