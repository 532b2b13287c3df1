"""When a fitted halfspace is good enough: the accuracy that is required, whether it can be reached, and whether it was."""

from dataclasses import replace

from algos.common.binomial import clopper_pearson
from algos.common.guarantees import Guarantee
from algos.testable_halfspaces._fit_settings import Settings
from algos.testable_halfspaces.achievable import check_feasible, minimal_eps
from algos.testable_halfspaces.certificates import HalfspaceCertificate

__all__ = ["check_reach", "promise", "required_eps", "shortfall"]


def promise(certificate: HalfspaceCertificate) -> Guarantee:
    """Return what is promised about a fit: a bound on the excess error also where the error itself has a smaller limit."""
    if certificate.kind != "massart" or not certificate.vacuous or certificate.eps_hat >= 1.0:
        return certificate.guarantee
    proved = replace(certificate, vacuous=False).guarantee
    return replace(proved, reason=f"{proved.reason}; {certificate.reason}")


def check_reach(settings: Settings, n_certify: int) -> None:
    """Refuse an accuracy that no data of this size reach, whatever they are."""
    if settings.noise == "massart" and not settings.force and isinstance(settings.eps, float):
        least = clopper_pearson(0, n_certify, 1.0 - settings.delta / 2.0, "upper")
        check_feasible(settings.eps, least, n=n_certify, what="certifying rows, none of which could change sides,")


def required_eps(settings: Settings, n: int, d: int, eps_hat: float) -> float | None:
    """Return the excess that is good enough; refuse one that was not reached and that Gaussian rows would not reach either.

    The simulation behind it takes as long as many fits, so that it is left out where its answer could not matter.
    """
    eps = settings.eps
    if eps is None or (isinstance(eps, float) and (settings.noise != "massart" or eps_hat <= eps or settings.force)):
        return eps
    if isinstance(eps, float) and (settings.calibration == "theory" or settings.marginal is None):
        return eps
    smallest = minimal_eps(
        n,
        d,
        settings.eta,
        delta=settings.delta,
        level=settings.delta_complete / 2.0,
        learn_fraction=settings.learn_fraction,
        fit_intercept=settings.lift,
        target_transform=settings.transform,
        n_jobs=settings.n_jobs,
    )
    if not isinstance(eps, float):
        return smallest
    return check_feasible(eps, smallest, n=n, what=f"Gaussian rows with d={d}, eta={settings.eta}")


def shortfall(settings: Settings, certificate: HalfspaceCertificate, eps: float | None, error_upper: float) -> str:
    """Return why the certificate is not good enough, or nothing.

    Who asks for a number gets it even where the error itself is below it, so that the bound is no news: under noise in a wedge the best
    halfspace hardly errs, and Gaussian rows would otherwise be refused for being easy.
    """
    if settings.noise == "massart":
        if certificate.vacuous and (eps is None or certificate.eps_hat >= 1.0):
            return certificate.reason
        reached = eps is None or certificate.eps_hat <= eps
        return "" if reached else f"the excess certified, {certificate.eps_hat:.3g}, is above eps={eps:.3g}"
    gap = error_upper - (eps or 0.0)
    if eps is not None and gap <= 0.0:
        return ""
    if certificate.vacuous:
        return certificate.reason
    if settings.factor is None or gap <= settings.factor * certificate.opt_lower:
        return ""
    return f"the error, up to {error_upper:.3g}, is above factor={settings.factor:g} times the proved {certificate.opt_lower:.3g}"
