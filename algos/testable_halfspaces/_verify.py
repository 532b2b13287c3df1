"""Verification of a certificate: recomputed numbers against claimed ones."""

import hashlib
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from algos.common.binomial import clopper_pearson
from algos.common.blocks import RowSource
from algos.common.guarantees import data_digest
from algos.testable_halfspaces._certificate_check import (
    Plain,
    PlainBand,
    cone_count,
    plain_view,
    push_at,
    push_limit_at,
    squares,
)
from algos.testable_halfspaces._certificate_fields import malformed
from algos.testable_halfspaces._geometry import row_source
from algos.testable_halfspaces._push import LARGEST_TANGENT
from algos.testable_halfspaces._sos import feature_map
from algos.testable_halfspaces.band_statistics import MAX_QUARTIC_DIM
from algos.testable_halfspaces.bounds import HALF_WIDTH, gradient_deviation, mistake_push, ramp_density, side_deviation
from algos.testable_halfspaces.quartic_forms import spectral_supremum

if TYPE_CHECKING:
    from algos.testable_halfspaces._halfspace_certificate import HalfspaceCertificate

__all__ = ["VerifyReport", "fingerprint", "signed_labels", "verify"]

FloatArray = npt.NDArray[np.float64]

_SAME = 1e-9
"""Relative difference allowed between a stored number and its recomputation: sums in another order, another basis, another machine."""

_SAME_BOUND = 1e-7
"""The same for bounds, which the search and the verification lower by different amounts for rounding."""


@dataclass(frozen=True)
class VerifyReport:
    """Outcome of a verification; true if the certificate holds.

    Attributes
    ----------
    ok : bool
    failures : tuple of str
        What differs, in words.
    recomputed : dict of str to float
        Numbers from the data.
    margin : float
        How far the push exceeds gradient and deviation, relative to them; NaN for a vacuous certificate.
    """

    ok: bool
    failures: tuple[str, ...]
    recomputed: dict[str, float] = field(default_factory=dict)
    margin: float = math.nan

    def __bool__(self) -> bool:
        return self.ok


def fingerprint(source: RowSource, labels: FloatArray) -> str:
    """Return a fingerprint of rows and labels in their order."""
    return hashlib.sha256(data_digest(source).encode() + (labels > 0.0).tobytes()).hexdigest()


def signed_labels(y: npt.ArrayLike, classes: tuple[Any, ...], n: int) -> FloatArray:
    """Return labels as -1 and +1, or raise if there are others than the two classes."""
    values = np.asarray(y)
    if values.shape != (n,):
        raise ValueError(f"y has shape {values.shape}, X has {n} rows; give one label per row")
    positive, negative = values == classes[1], values == classes[0]
    if not np.all(positive | negative):
        raise ValueError(f"y has labels other than {classes[0]!r} and {classes[1]!r}; give the labels that were certified")
    return np.where(positive, 1.0, -1.0)


def verify(certificate: "HalfspaceCertificate", X: Any, y: npt.ArrayLike) -> VerifyReport:
    """Recompute a certificate from the data."""
    source = row_source(X)
    problem = malformed(certificate, source)
    if problem:
        return VerifyReport(False, (problem,))
    labels = signed_labels(y, certificate.classes, source.n_rows)
    if fingerprint(source, labels) != certificate.digest:
        return VerifyReport(False, ("the rows or labels are not those that were certified, or are in another order",))
    try:
        with np.errstate(all="ignore"):  # absurd numbers in a file may overflow here; what comes of them supports nothing
            return _recomputed(certificate, source, labels)
    except (ArithmeticError, ValueError) as error:
        return VerifyReport(False, (f"a stored number is beyond all measure ({error})",))


def _recomputed(certificate: "HalfspaceCertificate", source: RowSource, labels: FloatArray) -> VerifyReport:
    half_width, angle = HALF_WIDTH * certificate.sigma, certificate.cone if certificate.tau < math.inf else -1.0
    rows = plain_view(source, certificate.w, certificate.lift, certificate.transform, half_width, angle)
    report = _Check(certificate, rows, labels).report()
    return _with_curve(certificate, source, labels, report) if certificate.curve_etas.size else report


@dataclass
class _Check:
    """One verification."""

    c: "HalfspaceCertificate"
    rows: Plain
    labels: FloatArray
    failures: list[str] = field(default_factory=list)
    found: dict[str, float] = field(default_factory=dict)

    def report(self) -> VerifyReport:
        c = self.c
        wrong = (self.rows.t >= 0.0) != (self.labels > 0.0)
        sure = self.rows.sure
        self._same("mistakes", int(np.count_nonzero(wrong)))
        self._same("sure_mistakes", int(np.count_nonzero(wrong & sure)))
        self._same("sure_hits", int(np.count_nonzero(~wrong & sure)))
        self._same("error_upper", clopper_pearson(min(c.mistakes, c.n), c.n, 1.0 - c.delta / 2.0, "upper"))
        if c.vacuous and (c.kind == "agnostic" or c.tau == math.inf):
            self._nothing()
            return VerifyReport(not self.failures, tuple(self.failures), self.found)
        # a vacuous certificate with an angle confines the best halfspace all the same, and may bound the excess
        margin = self._angle() if c.w.size > 1 else math.inf
        self._massart() if c.kind == "massart" else self._agnostic()
        return VerifyReport(not self.failures, tuple(self.failures), self.found, math.nan if c.vacuous else margin)

    def _nothing(self) -> None:
        """Check that a certificate of nothing claims nothing."""
        c = self.c
        bound = c.eps_hat >= 1.0 if c.kind == "massart" else c.optimum == 0 and c.opt_lower <= 0.0 and c.deviation == 0.0
        angle = c.tau == math.inf and c.theta == math.pi / 2.0 and c.push == -math.inf and c.disagreement == c.n
        if not (bound and angle):
            self.failures.append("a vacuous certificate claims a bound or an angle")
        if c.w.size > 1:
            band = self._measured()[0]
            if c.kind == "massart":
                self._same("deviation", self._deviation(band, self.advantage))

    def _same(self, name: str, value: float) -> None:
        """Record a recomputed number and compare it with the stored one."""
        self.found[name] = value
        stored = getattr(self.c, name)
        if not (math.isfinite(stored) and abs(stored - value) <= _SAME * max(abs(value), abs(stored))):
            self.failures.append(f"{name} is {value:.12g}, the certificate says {stored:.12g}")

    def _angle(self) -> float:
        """Check the excluded angle and the disagreement within; return the relative margin of the exclusion."""
        c = self.c
        band, gradient, size = self._measured()
        advantage = self.advantage
        push = push_at(
            band,
            scale=c.scale,
            edges=np.asarray(c.edges),
            tau=c.tau,
            advantage=advantage,
            variant=c.variant,
            lam=c.lam,
            shift=self._shift(),
        )
        deviation = self._deviation(band, advantage)
        self._same("deviation", deviation)
        self.found["push"] = push
        slack = gradient + deviation
        if not push > slack:
            self.failures.append(f"the angle is not excluded: push {push:.12g}, gradient and deviation {slack:.12g}")
        if not (math.isfinite(c.push) and abs(push - c.push) <= _SAME_BOUND * max(abs(push), size)):
            self.failures.append(f"push is {push:.12g}, the certificate says {c.push:.12g}")
        if not abs(c.theta - math.atan(c.tau)) <= _SAME * c.theta or not c.cone >= max(c.theta, math.atan(c.tau)) * (1.0 - 1e-15):
            self.failures.append("theta, cone and tau do not belong together")
        return push / slack - 1.0 if slack > 0.0 else math.inf

    def _shift(self) -> FloatArray | None:
        """Return the stored shift in the basis of this verification."""
        if self.c.shift is None:
            return None
        P, stored = feature_map(self.rows.frame), np.asarray(self.c.shift, dtype=np.float64)
        if stored.shape != (len(P), len(P)):
            return np.full((1, 1), math.nan)  # of another size: proves nothing
        shift = P.T @ stored @ P
        return np.asarray((shift + shift.T) / 2.0)

    @property
    def advantage(self) -> float:
        """Least advantage of right labels over flipped ones."""
        return 1.0 - 2.0 * self.c.eta if self.c.kind == "massart" else 1.0

    def _measured(self) -> tuple[PlainBand, float, float]:
        """Check what does not depend on any proof; return the band, its gradient, and the size of a push."""
        c, n = self.c, self.c.n
        band, labels = self._band()
        psi = band.psi
        self._same("n_band", psi.size)
        gradient = float(np.linalg.norm((psi * labels) @ band.z / n))
        # an exactly balanced band leaves a gradient of rounding size, which no two machines share
        self._same("gradient", gradient if abs(gradient - c.gradient) > 1e-15 * float(psi @ band.rho) / n else c.gradient)
        size = float(psi @ (1.0 + band.rho)) / n
        limit = push_limit_at(
            band, scale=c.scale, edges=np.asarray(c.edges), tau=LARGEST_TANGENT * c.sigma / c.scale, advantage=self.advantage
        )
        self.found["push_limit"] = limit
        near = math.isfinite(c.push_limit) and abs(limit - c.push_limit) <= _SAME_BOUND * max(abs(limit), size)
        if limit != c.push_limit and not near:
            self.failures.append(f"push_limit is {limit:.12g}, the certificate says {c.push_limit:.12g}")
        return band, gradient, size

    def _band(self) -> tuple[PlainBand, FloatArray]:
        """Return the rows of the band with their labels."""
        c, rows = self.c, self.rows
        t = np.abs(rows.t[rows.kept])
        inside = t < HALF_WIDTH * c.sigma
        rho = rows.rho[inside] / c.scale
        psi = ramp_density(margin=t[inside], sigma=c.sigma)
        band = PlainBand(c.n, t[inside], psi, rows.z[inside] / c.scale, rho, rho <= c.light_reach)
        return band, self.labels[rows.kept[inside]]

    def _deviation(self, band: PlainBand, advantage: float) -> float:
        c, n, psi = self.c, self.c.n, band.psi
        second = float(np.linalg.eigvalsh((band.z * (psi**2)[:, None]).T @ band.z / n)[-1])
        if c.kind == "massart":
            largest = 2.0 * float(np.max(psi * band.rho, initial=0.0))
            log_term = math.log(4.0 * c.n_candidates / c.delta)
            return gradient_deviation(second=max(second, 0.0), largest=largest, log_term=log_term, n=n, advantage=advantage)
        k = c.optimum - 1
        if k <= 0:
            return 0.0
        covariance = float(np.linalg.eigvalsh((band.z * psi[:, None]).T @ band.z / n)[-1])
        weight, pushes = (float(np.sort(values)[::-1][:k].sum()) / n for values in (psi, psi * band.rho))
        return 2.0 * mistake_push(
            share=k / n,
            weight=weight,
            second=max(second, 0.0),
            covariance=max(covariance, 0.0),
            fourth=_fourth(band),
            largest_pushes=pushes,
        )

    def _cone(self, counted: npt.NDArray[np.bool_]) -> int:
        c = self.c
        if c.w.size == 1:
            count = 0
        else:
            count = cone_count(
                self.rows, counted, c.cone, method=c.cone_method, scale=c.cone_scale, multiplier=c.cone_multiplier, lam=c.cone_lam
            )
        self.found["disagreement"] = count
        if count > c.disagreement:
            self.failures.append(f"up to {count} rows change sides within the cone, the certificate says {c.disagreement}")
        return max(count, c.disagreement)

    def _massart(self) -> None:
        c = self.c
        count = self._cone(np.ones(c.n, dtype=bool))
        allowed = c.eta + side_deviation(log_term=math.log(4.0 * c.n_candidates / c.delta), n=c.n)
        if not self.found["sure_hits"] > c.n * allowed + count:
            if c.vacuous and c.eps_hat >= 1.0:
                return  # it says so itself
            self.failures.append("the reverse of the halfspace is not excluded")
        bound = 0.0 if c.w.size == 1 else clopper_pearson(min(count, c.n), c.n, 1.0 - c.delta / (2.0 * c.n_candidates), "upper")
        self.found["eps_hat"] = bound
        if not c.vacuous and bound >= min(c.error_upper, 0.5):
            self.failures.append("the bound is no better than the trivial one, and the certificate does not say so")
        if not c.eps_hat >= bound * (1.0 - _SAME):
            self.failures.append(f"the data prove an excess of at most {bound:.12g}, the certificate claims {c.eps_hat:.12g}")

    def _agnostic(self) -> None:
        c = self.c
        count = self._cone(self.rows.sure)
        rival = min(self.found["sure_mistakes"], self.found["sure_hits"])
        if not (c.optimum >= 1 and c.optimum - 1 + count < rival):
            self.failures.append(
                f"{c.optimum} mistakes of every halfspace are not proved: {c.optimum - 1} + {count} is not below {rival:.0f}"
            )
        self._same("opt_lower", clopper_pearson(min(c.optimum, c.n), c.n, 1.0 - c.delta / 2.0, "lower"))


def _fourth(band: PlainBand) -> float:
    """Return the certified fourth moment of the band."""
    light, k = band.light, band.z.shape[1]
    if k >= MAX_QUARTIC_DIM:
        return math.inf
    heavy = float(band.psi[~light] @ band.rho[~light] ** 4) / band.n
    if not np.any(light):
        return heavy
    return heavy + max(spectral_supremum(squares(band.z[light], band.psi[light]) / band.n, k)[0], 0.0)


def _with_curve(certificate: "HalfspaceCertificate", source: RowSource, labels: FloatArray, report: VerifyReport) -> VerifyReport:
    """Check the stored curve, too."""
    from algos.testable_halfspaces._certificate_steps import excess_curve_of

    etas, stored = np.asarray(certificate.curve_etas), np.asarray(certificate.curve_eps)
    good = certificate.kind == "massart" and stored.shape == etas.shape and bool(np.all((etas >= 0.0) & (etas < 0.5)))
    if good and np.all(np.diff(etas) > 0.0):
        proved = excess_curve_of(replace(certificate, classes=(-1, 1)), source, labels, etas)[1]
        if np.all(stored >= proved * (1.0 - _SAME)) and np.all(np.diff(stored) >= 0.0):
            return report
    return replace(report, ok=False, failures=(*report.failures, "the data do not support the stored curve"))
