r"""The least mean push of the band's rows towards a halfspace at a given angle: the function LB of the certificates.

For every v and every halfspace :math:`w'=\cos\theta\,w+\sin\theta\,Qv` with :math:`|\tan\theta|\ge\tau` the mean of
:math:`\psi f_c(u)` is at least LB(tau). Rows are put in a few bins of the margin, each with its upper edge as threshold, which is safe
since f falls as c grows. LB at any tau is then a matter of a few matrices.
"""

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces._sos import form_bound, sos_shift
from algos.testable_halfspaces.band_statistics import MAX_QUARTIC_DIM, Band
from algos.testable_halfspaces.bounds import HALF_WIDTH, norm_minorant, quartic_minorant
from algos.testable_halfspaces.quartic_forms import feature_count, quartic_gram, spectral_supremum, svec

__all__ = ["LARGEST_TANGENT", "Push", "PushValue", "combined_form", "rounding"]

FloatArray = npt.NDArray[np.float64]
Variant = Literal["quartic", "norm"]

MOST_BINS, FEWEST_BINS, BIN_BYTES = 64, 8, 2**26
"""Bins of the margin: as many as fit this memory. With 8 instead of 64 the excess certified at d = 10 is an eighth larger."""

LARGEST_TANGENT = 1e3
"""Tangent, in units of sigma over the length of z, beyond which every threshold is zero: LB does not rise any more."""

_U = 2.0**-53
_GAP = 1e-9


@dataclass(frozen=True)
class PushValue:
    """LB at one tau.

    Attributes
    ----------
    value : float
        Lower bound, less what rounding may have added.
    variant : {"quartic", "norm"}
        Which minorant gave it.
    lam : float
        Multiplier of the quartic bound.
    shift : ndarray or None
        Matrix of vanishing form that was added to the quartic form, if any.
    """

    value: float
    variant: Variant
    lam: float
    shift: FloatArray | None = None


@dataclass
class Push:
    """LB as a function of tau and the advantage, for fixed rows."""

    band: Band
    quartic: bool
    edges: FloatArray
    masses: FloatArray
    seconds: FloatArray
    fourths: FloatArray
    heavy: npt.NDArray[np.bool_]
    shift: FloatArray | None = None
    _known: dict[tuple[float, float], PushValue] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, band: Band, *, quartic: bool = True, edges: FloatArray | None = None) -> "Push":
        """Sum the rows up in bins of the margin, by default ones that hold equal numbers of light rows."""
        k, light = band.k, band.light
        quartic = quartic and 2 <= k < MAX_QUARTIC_DIM and bool(np.any(light))
        D = feature_count(k) if quartic else 0
        if edges is None:
            bins = max(FEWEST_BINS, min(MOST_BINS, BIN_BYTES // (8 * D * D))) if quartic else 0
            edges = bin_edges(band.t[light], band.sigma, bins)
        masses, seconds, fourths = np.zeros(edges.size), np.zeros((edges.size, k, k)), np.zeros((edges.size, D, D))
        if quartic:
            rows = np.flatnonzero(light)
            cuts = np.searchsorted(band.t[rows], [-1.0, *edges], side="right")
            for bin_, (first, last) in enumerate(itertools.pairwise(cuts.tolist())):
                here = rows[first:last]
                psi, z = band.psi[here], band.z[here]
                masses[bin_] = float(psi.sum()) / band.n
                seconds[bin_] = (z * psi[:, None]).T @ z / band.n
                fourths[bin_] = quartic_gram(z, psi) / band.n
        return cls(band, quartic, edges, masses, seconds, fourths, ~light)

    def __call__(self, tau: float, advantage: float) -> PushValue:
        """Return LB(tau)."""
        key = (tau, advantage)
        if key not in self._known:
            best = self._norm(tau, advantage)
            if self.quartic:
                best = max(best, self._quartic(tau, advantage), key=lambda found: found.value)
            self._known[key] = best
        return self._known[key]

    def plain(self, tau: float, advantage: float) -> PushValue:
        """Return LB(tau) without a shift."""
        return replace(self, shift=None, _known={})(tau, advantage) if self.shift is not None else self(tau, advantage)

    def sharpen(self, tau: float, advantage: float) -> None:
        """Find the shift that is best at one tau, by a semidefinite program; it is valid, and nearly as good, at others."""
        form = self._form(tau, advantage) if self.quartic else None
        if form is not None:
            self.shift, self._known = sos_shift(form[1], self.band.k)[0], {}

    def _norm(self, tau: float, advantage: float) -> PushValue:
        band = self.band
        if not band.psi.size:
            return PushValue(-math.inf, "norm", 0.0)
        constant, A = self._norm_part(slice(None), tau, advantage)
        lowest = float(np.linalg.eigvalsh(A)[0])
        size = constant + float(np.abs(A).sum())
        return PushValue(lowest - constant - rounding(band.k) * size, "norm", 0.0)

    def _norm_part(self, rows: npt.NDArray[np.bool_] | slice, tau: float, advantage: float) -> tuple[float, FloatArray]:
        band = self.band
        c = band.t[rows] / (band.scale * tau)
        p0, p2 = norm_minorant(c=c, norm=band.rho[rows], advantage=advantage)
        psi, z = band.psi[rows], band.z[rows]
        A = (z * (psi * p2)[:, None]).T @ z / band.n
        return float(psi @ p0) / band.n, (A + A.T) / 2.0

    def _form(self, tau: float, advantage: float) -> tuple[float, FloatArray, float] | None:
        """Return constant, quartic form and the size of their terms, None if no minorant is quartic."""
        band, k = self.band, self.band.k
        p0, p2, p4 = quartic_minorant(c=self.edges / (band.scale * tau), advantage=advantage)
        constant, A = float(p0 @ self.masses), np.tensordot(p2, self.seconds, 1)
        if np.any(self.heavy):
            extra, B = self._norm_part(self.heavy, tau, advantage)
            constant, A = constant + extra, A + B
        if not np.any(p4):
            return None
        omega = combined_form(np.tensordot(p4, self.fourths, 1), A, k)
        size = abs(constant) + float(np.abs(p0) @ self.masses) + float(np.linalg.norm(A)) * k + 2.0 * float(np.linalg.norm(omega))
        return constant, omega, size

    def _quartic(self, tau: float, advantage: float) -> PushValue:
        form, k = self._form(tau, advantage), self.band.k
        if form is None:
            return PushValue(-math.inf, "quartic", 0.0)
        constant, omega, size = form
        supremum, lam, _ = spectral_supremum(omega, k)
        best = PushValue(-constant - supremum - rounding(omega.shape[0]) * size, "quartic", lam)
        if self.shift is None:
            return best
        supremum, lam, _ = spectral_supremum(omega + self.shift, k)
        lost = rounding(omega.shape[0]) * (size + 2.0 * float(np.linalg.norm(self.shift))) + form_bound(self.shift, k)
        return max(best, PushValue(-constant - supremum - lost, "quartic", lam, self.shift), key=lambda found: found.value)


def rounding(m: int) -> float:
    """Return the share of its terms by which a bound from an m x m matrix is lowered.

    A strict inequality between sums must not be decided by rounding. The verification tests its eigenvalues by a factorisation, whose
    rounding grows like m^2, and must find room for it.
    """
    return max(1e-12, 32.0 * (m + 2) ** 2 * _U)


def bin_edges(t: FloatArray, sigma: float, bins: int) -> FloatArray:
    """Return upper edges of bins with about equally many of the rising margins, the last one half of sigma.

    An edge lies in the middle of a gap, so that no rounding moves a row from one bin to another.
    """
    if not t.size or not bins:
        return np.empty(0)
    gaps = np.flatnonzero(np.diff(t) > _GAP * sigma)
    wanted = np.arange(1, bins) * t.size // bins - 1
    places = np.searchsorted(gaps, wanted)
    chosen = gaps[np.unique(places[places < gaps.size])]
    return np.append((t[chosen] + t[chosen + 1]) / 2.0, HALF_WIDTH * sigma)


def combined_form(omega: FloatArray, A: FloatArray, k: int) -> FloatArray:
    """Return the matrix of the quartic form ``quartic(v) - v^T A v``: on the sphere a quadratic form is a quartic one."""
    half = np.outer(svec(A), svec(np.eye(k))) / 2.0
    return np.asarray(omega - half - half.T)
