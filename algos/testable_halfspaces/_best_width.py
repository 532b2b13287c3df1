"""The width of the band for which most is certified."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces._certificate_steps import agnostic_steps, blank_certificate, excess_curve, massart_steps
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._halfspace_certificate import HalfspaceCertificate
from algos.testable_halfspaces._search import Cones, Search
from algos.testable_halfspaces.bounds import HALF_WIDTH, gradient_deviation

__all__ = ["best_agnostic", "best_massart", "default_widths", "predicted_angle", "sharpened"]

FloatArray = npt.NDArray[np.float64]

_NORMAL_MEDIAN = 0.6745  # median of |N(0, 1)|
_FEWEST_IN_BAND = 50
_WIDTHS = (2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12, 0.08, 0.05, 0.03)
"""Widths tried by `certify`, in units of the margins' standard deviation: those of the learner, and wider ones for large error rates."""

_SHORTLIST = 3
"""Widths for which massart certificates are made: ln 3 more in the deviation, against a wrong guess of the best width."""

_PATIENCE = 2
"""Widths are tried from narrow to wide, which is from cheap to dear, until so many in a row are no better than the best one."""


def best_agnostic(
    view: View, labels: FloatArray, sigmas: list[float], normal: FloatArray, T: FloatArray | None, delta: float, quartic: bool
) -> HalfspaceCertificate:
    """Return the certificate of the width that proves most; any width may."""
    cones = Cones(view, np.abs(view.t) <= view.blur)
    best: tuple[HalfspaceCertificate, Search] | None = None
    waited = 0
    for sigma in sorted(sigmas):
        search = Search.of(view, labels, sigma, quartic=quartic, cones=cones)
        found = agnostic_steps(search, blank_certificate(search, labels, normal, "agnostic", T, delta, 1, math.nan), refine=False)
        if best is None or (found.optimum, found.push_limit - found.gradient) > (best[0].optimum, best[0].push_limit - best[0].gradient):
            best, waited = (found, search), 0
        elif best[0].optimum > 0:
            waited += 1
        if waited >= _PATIENCE or found.sure_mistakes == 0:
            break
    assert best is not None
    return best[0] if best[0].vacuous else agnostic_steps(best[1], best[0])


def best_massart(
    view: View,
    labels: FloatArray,
    sigmas: list[float],
    normal: FloatArray,
    T: FloatArray | None,
    delta: float,
    quartic: bool,
    eta: float,
    etas: FloatArray,
) -> HalfspaceCertificate:
    """Return the best certificate of the widths that look best without the labels."""
    searches, cones = _shortlist(view, labels, sigmas, 1.0 - 2.0 * eta, delta, quartic), Cones(view)
    made = []
    for search in searches:
        search.cones = cones
        made.append(massart_steps(search, blank_certificate(search, labels, normal, "massart", T, delta, len(searches), eta), eta))
    place = min(range(len(made)), key=lambda i: (made[i].eps_hat, made[i].tau))
    known, values = excess_curve(searches[place], made[place], np.unique(etas))
    return replace(made[place], curve_etas=known, curve_eps=values)


def _shortlist(view: View, labels: FloatArray, sigmas: list[float], advantage: float, delta: float, quartic: bool) -> list[Search]:
    """Rank widths without a look at the labels: by the angle excluded if the gradient were as long as noise makes it."""
    kept = min(_SHORTLIST, len(sigmas))
    ranked: list[tuple[float, Search]] = []
    waited = 0
    for sigma in sorted(sigmas):
        search = Search.of(view, labels, sigma, quartic=quartic)
        predicted = predicted_angle(search, advantage, math.log(4.0 * kept / delta))
        waited = waited + 1 if ranked and predicted >= min(entry[0] for entry in ranked) < math.inf else 0
        ranked = sorted([*ranked, (predicted, search)], key=lambda entry: entry[0])[:kept]
        if waited >= _PATIENCE:
            break
    return [search for _, search in ranked]


def predicted_angle(search: Search, advantage: float, log_term: float, n: int | None = None, n_learn: float = math.inf) -> float:
    """Return the tangent excluded by n rows like these if the gradient were as long as noise makes it; labels are not looked at.

    A halfspace that is stationary on n_learn other rows has their noise in its gradient, too.
    """
    statistics, band = search.statistics, search.band
    if search.view.k == 0:
        return 0.0
    rows = band.n if n is None else n
    pushed = band.psi * band.rho
    noise = math.sqrt(float(pushed @ pushed) / band.n * (1.0 / rows + 1.0 / n_learn))
    deviation = gradient_deviation(second=statistics.N2, largest=2.0 * statistics.largest, log_term=log_term, n=rows, advantage=advantage)
    tau = search.smallest_excluded(noise + deviation, advantage)
    return math.inf if tau is None else tau


def sharpened(view: View, labels: FloatArray, certificate: HalfspaceCertificate) -> HalfspaceCertificate:
    """Repeat the proof of a certificate with sums of squares; return the better one."""
    settled = np.abs(view.t) <= view.blur if certificate.kind == "agnostic" else None
    search = Search.of(view, labels, certificate.sigma, cones=Cones(view, settled), sos=True)
    blank = replace(certificate, vacuous=True, optimum=0, tau=math.inf)
    if certificate.kind == "agnostic":
        better = agnostic_steps(search, blank, guess=certificate.optimum)
        return better if better.optimum > certificate.optimum else certificate
    better = massart_steps(search, replace(blank, eps_hat=1.0), certificate.eta)
    return better if better.eps_hat < certificate.eps_hat else certificate


def default_widths(view: View) -> list[float]:
    """Return the widths of the default grid whose bands hold enough rows; the widest one if none does."""
    distance = np.abs(view.t)
    unit = float(np.median(distance)) / _NORMAL_MEDIAN or float(np.mean(distance)) or 1.0
    fewest = max(_FEWEST_IN_BAND, 2 * view.k)
    widths = [unit * width for width in _WIDTHS if np.count_nonzero(distance < unit * width * HALF_WIDTH) >= fewest]
    return widths or [unit * _WIDTHS[0]]
