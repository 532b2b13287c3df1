"""Certificates with one step of the proof done wrong: what the claims about certificates must notice.

Each takes the steps of the package on numbers of which some were replaced, and returns what would be claimed then.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import HalfspaceCertificate, bounds
from algos.testable_halfspaces._certificate_steps import agnostic_steps, blank_certificate, massart_steps
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._push import PushValue
from algos.testable_halfspaces._search import Cones, Search
from algos.testable_halfspaces.band_statistics import Band
from algos.testable_halfspaces.disagreement import DisagreementBound
from proofs_check import Mutant

FloatArray = npt.NDArray[np.float64]
Change = Callable[[Search], Search]
Maker = Callable[..., HalfspaceCertificate]


def massart(change: Change, *, reverse: bool = True) -> Callable[[Maker], Maker]:
    """Replace `massart_certificate` by one that measures something else; without `reverse` it does not look at the other side."""

    def wrap(original: Maker) -> Maker:
        def wrong(X: FloatArray, y: FloatArray, w: FloatArray, sigma: float, eta: float, delta: float = 0.05) -> HalfspaceCertificate:
            view = View.of(X, w)
            search = Search.of(view, y, sigma)
            blank = blank_certificate(search, y, w, "massart", None, delta, 1, eta)
            return massart_steps(change(search), blank if reverse else replace(blank, sure_hits=3 * view.n), eta)

        return wrong

    return wrap


def agnostic(change: Change, *, reverse: bool = True) -> Callable[[Maker], Maker]:
    """Replace `agnostic_certificate` in the same way."""

    def wrap(original: Maker) -> Maker:
        def wrong(X: FloatArray, y: FloatArray, w: FloatArray, sigma: float, *, delta: float = 0.05) -> HalfspaceCertificate:
            view = View.of(X, w)
            search = Search.of(view, y, sigma, cones=Cones(view, np.abs(view.t) <= view.blur))
            blank = blank_certificate(search, y, w, "agnostic", None, delta, 1, float("nan"))
            return agnostic_steps(change(search), blank if reverse else replace(blank, sure_hits=view.n))

        return wrong

    return wrap


def by_massart(name: str, change: Change, why: str, part: str, *, killer: str, reverse: bool = True) -> Mutant:
    """Declare a mistake in `massart_certificate`."""
    return Mutant(name, "impl", {"certificate": massart(change, reverse=reverse)}, why, part=part, killers=(killer,))


# --- what can be measured wrongly -----------------------------------------------------------------------------------------------------


def unchanged(search: Search) -> Search:
    """Return the search as it is, for mistakes that are made elsewhere."""
    return search


def gradient_forgotten(search: Search) -> Search:
    """Take the gradient for zero."""
    return replace(search, statistics=replace(search.statistics, g=np.zeros_like(search.statistics.g)))


def noise_forgotten(search: Search) -> Search:
    """Take the gradient for its mean: no deviation."""
    return replace(search, statistics=replace(search.statistics, N2=0.0))


def noise_over_n(search: Search) -> Search:
    """Let the deviation fall like 1/n instead of 1/sqrt(n)."""
    return replace(search, statistics=replace(search.statistics, N2=search.statistics.N2 / search.view.n))


def half_of_the_noise(search: Search) -> Search:
    """Halve the deviation: labels are taken to move the gradient by 1, not by 2."""
    statistics = search.statistics
    return replace(search, statistics=replace(statistics, N2=statistics.N2 / 4.0, largest=statistics.largest / 4.0))


def half_of_the_mistakes(search: Search) -> Search:
    """Let a mistake move the gradient by its push, not by twice its push."""
    s = search.statistics
    return replace(search, statistics=replace(s, N2=s.N2 / 4.0, M2=s.M2 / 4.0, K4=s.K4 / 16.0, pushes=s.pushes / 2.0))


def mistakes_in_light_rows(search: Search) -> Search:
    """Let the mistakes fall on the rows of least weight, not of largest."""
    band = search.band
    weights, pushes = (np.cumsum(np.sort(values)) / band.n for values in (band.psi, band.psi * band.rho))
    return replace(search, statistics=replace(search.statistics, weights=weights, pushes=pushes))


def weight_for_its_square(search: Search) -> Search:
    """Take the moments weighted by psi where those weighted by psi^2 are needed."""
    return replace(search, statistics=replace(search.statistics, N2=search.statistics.covariance))


def squared_weights(search: Search) -> Search:
    """Take psi^2 where psi is needed."""
    band = search.band
    pushes = np.cumsum(np.sort(band.psi**2 * band.rho)[::-1]) / band.n
    return replace(search, statistics=replace(search.statistics, M2=band.second_moments(band.psi**2), pushes=pushes))


@dataclass
class _ConstantCone:
    """Disagreement within a cone that ignores the rows."""

    n: int

    def __call__(self, tau: float) -> DisagreementBound:
        return DisagreementBound(0.0, 0, self.n, 0, float(np.arctan(tau)), "count", np.zeros(1))


def cone_forgotten(search: Search) -> Search:
    """Let halfspaces within the angle agree with w on every row."""
    return replace(search, cones=cast(Cones, _ConstantCone(search.view.n)))


@dataclass
class _OtherPush:
    """Another lower bound on the push in place of the measured one."""

    value: Callable[[float, float], float]

    def __call__(self, tau: float, advantage: float) -> PushValue:
        return PushValue(self.value(tau, advantage), "norm", 0.0)

    def plain(self, tau: float, advantage: float) -> PushValue:
        """Return the same: there are no sums of squares here."""
        return self(tau, advantage)


def _with_push(search: Search, value: Callable[[float, float], float]) -> Search:
    return replace(search, push=cast(Any, _OtherPush(value)))


def gaussian_constants(search: Search) -> Search:
    """Take the push that Gaussian rows of this mass would have."""
    mass = search.statistics.m0 / bounds.DENSITY_AT_ZERO
    return _with_push(search, lambda tau, advantage: mass * bounds.gaussian_push(angle=tau / search.unit, advantage=advantage))


def _in_the_plane(band: Band, value: Callable[[FloatArray, FloatArray], FloatArray], tau: float) -> float:
    """Mean of a bound on the push of a row that depends on the threshold and on the length; in the plane this is all there is."""
    return float(band.psi @ value(band.t / (band.scale * tau), band.rho)) / band.n


def noise_on_both_sides(search: Search) -> Search:
    """Let rows that push the wrong way be flipped as often as the others, as if the adversary had to."""

    def value(tau: float, advantage: float) -> float:
        return _in_the_plane(search.band, lambda c, rho: advantage * np.where(rho <= c, -rho, rho), tau)

    return _with_push(search, value)


def no_row_pushes_back(search: Search) -> Search:
    """Forget the rows between the two hyperplanes, which push the wrong way."""

    def value(tau: float, advantage: float) -> float:
        return _in_the_plane(search.band, lambda c, rho: np.where(rho <= c, 0.0, advantage * rho), tau)

    return _with_push(search, value)


def half_of_the_band(search: Search) -> Search:
    """Let rows push back only up to half of the threshold."""

    def value(tau: float, advantage: float) -> float:
        return _in_the_plane(search.band, lambda c, rho: np.where(rho <= c / 2.0, -rho, advantage * rho), tau)

    return _with_push(search, value)


def rounding_ignored(search: Search) -> Search:
    """Decide a strict inequality between sums without room for their rounding."""

    def value(tau: float, advantage: float) -> float:
        exact = _in_the_plane(search.band, lambda c, rho: np.where(rho <= c, -rho, advantage * rho), tau)
        return exact * (1.0 + 1e-12)  # what the comparison takes off

    return _with_push(search, value)
