"""How certificates are made: the steps of the soundness proofs, one after the other, on measured numbers."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.binomial import clopper_pearson
from algos.common.spectral import orthonormal_complement
from algos.testable_halfspaces._arguments import unit_direction
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._halfspace_certificate import HalfspaceCertificate
from algos.testable_halfspaces._search import Excluded, Search
from algos.testable_halfspaces._sos import feature_map
from algos.testable_halfspaces._verify import fingerprint, signed_labels
from algos.testable_halfspaces.bounds import gradient_deviation

__all__ = ["agnostic_steps", "blank_certificate", "excess_curve", "excess_curve_of", "massart_steps"]

FloatArray = npt.NDArray[np.float64]


def massart_steps(search: Search, blank: HalfspaceCertificate, eta: float) -> HalfspaceCertificate:
    """Carry out the three steps for one bound on the flip probability."""
    advantage, n, delta, K = 1.0 - 2.0 * eta, search.view.n, blank.delta, blank.n_candidates
    log_term = math.log(4.0 * K / delta)
    statistics = search.statistics
    deviation = gradient_deviation(second=statistics.N2, largest=2.0 * statistics.largest, log_term=log_term, n=n, advantage=advantage)
    slack = statistics.G + deviation
    blank = replace(blank, eta=eta, deviation=deviation, push_limit=search.limit(advantage) if search.view.k else math.inf)
    if search.view.k == 0:
        found = search.most_mistakes(1)
        assert found is not None
        excluded: Excluded | None = found[1]
    else:
        excluded = search.excluded(slack, advantage)
    if excluded is None:
        return replace(blank, reason=f"no angle is excluded (push {blank.push_limit:.3g}, gradient and noise {slack:.3g})")
    found_at = _with_angle(blank, excluded, search.view)
    if not found_at.confined:
        return replace(found_at, reason="the reverse of the halfspace is not excluded: it errs too seldom")
    count = excluded.cone.count
    eps_hat = 0.0 if search.view.k == 0 else clopper_pearson(count, n, 1.0 - delta / (2.0 * K), "upper")
    if eps_hat >= min(blank.error_upper, 0.5):
        return replace(found_at, eps_hat=min(eps_hat, 1.0), reason=f"the bound {eps_hat:.3g} is no better than the trivial one")
    return replace(found_at, vacuous=False, reason="", eps_hat=eps_hat)


def agnostic_steps(search: Search, blank: HalfspaceCertificate, *, refine: bool = True, guess: int = 0) -> HalfspaceCertificate:
    """Find the largest number of mistakes that no halfspace keeps to; without `refine` a little less, at a fraction of the price.

    A guess of the number is worth a search among fine angles at once.
    """
    view = search.view
    rival = min(blank.sure_mistakes, blank.sure_hits)
    if rival == 0:
        side = "it makes no mistake that is certain" if blank.sure_mistakes == 0 else "its reverse makes no mistake that is certain"
        return replace(blank, reason=f"{side}, so that the optimum may be 0")
    found = search.most_mistakes(rival, guess)
    if search.sos and search.view.k:
        search.push.sharpen(search.largest_tau if found is None else found[1].tau, 1.0)
        again = search.most_mistakes(rival, guess)
        found = again if found is None or (again is not None and again[0] > found[0]) else found
    if found is None:
        limit, spent = search.limit(1.0) if view.k else math.inf, search.slack(0)
        no_angle = f"no angle is excluded even for a halfspace without mistakes (push {limit:.3g}, gradient {spent:.3g})"
        return replace(blank, reason=no_angle if limit <= spent else "the angle excluded is too wide for the mistakes of this halfspace")
    k, excluded = search.refine(found, rival) if refine and not guess else found
    return replace(
        _with_angle(blank, excluded, search.view),
        vacuous=False,
        reason="",
        deviation=search.slack(k) - blank.gradient,
        optimum=k + 1,
        opt_lower=clopper_pearson(k + 1, view.n, 1.0 - blank.delta / 2.0, "lower"),
    )


def excess_curve(search: Search, blank: HalfspaceCertificate, etas: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return rising flip probabilities and what is certified for each: the least bound over this and larger ones."""
    fresh = replace(blank, vacuous=True, eps_hat=1.0)
    values = []
    for eta in etas:
        values.append(massart_steps(search, fresh, float(eta)).eps_hat)
    return etas, np.minimum.accumulate(values[::-1])[::-1] if values else np.empty(0)


def excess_curve_of(certificate: HalfspaceCertificate, X: Any, y: npt.ArrayLike, etas: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the curve of a stored certificate from its data."""
    view = View.of(X, certificate.w, lift=certificate.lift, transform=certificate.transform)
    labels = signed_labels(y, certificate.classes, view.n)
    search = Search.of(view, labels, certificate.sigma, quartic=certificate.edges.size > 0)
    return excess_curve(search, certificate, etas)


def _with_angle(blank: HalfspaceCertificate, excluded: Excluded, view: View) -> HalfspaceCertificate:
    cone, shift = excluded.cone, excluded.push.shift
    if shift is not None:
        P = feature_map(orthonormal_complement(view.w))
        shift = P @ shift @ P.T
    return replace(
        blank,
        tau=excluded.tau,
        theta=math.atan(excluded.tau),
        variant=excluded.push.variant,
        lam=excluded.push.lam,
        shift=shift,
        push=excluded.push.value,
        cone=cone.theta,
        cone_method=cone.method,
        cone_scale=cone.scale,
        cone_multiplier=cone.multiplier,
        cone_lam=cone.lam,
        disagreement=cone.count,
    )


def blank_certificate(
    search: Search,
    labels: FloatArray,
    w: npt.ArrayLike,
    kind: str,
    transform: npt.ArrayLike | None,
    delta: float,
    n_candidates: int,
    eta: float,
    digest: str | None = None,
) -> HalfspaceCertificate:
    """Return a certificate of nothing, with the measured numbers filled in; the fingerprint of the data need not be taken twice."""
    view, statistics = search.view, search.statistics
    wrong, sure = (view.t >= 0.0) != (labels > 0.0), np.abs(view.t) > view.blur
    mistakes = int(np.count_nonzero(wrong))
    return HalfspaceCertificate(
        kind=kind,
        vacuous=True,
        reason="nothing was tried",
        w=unit_direction(w, view.project.shape[0]),
        lift=view.lift,
        transform=None if transform is None else np.array(transform, dtype=np.float64),
        classes=(-1, 1),
        n=view.n,
        n_band=statistics.n_band,
        sigma=statistics.sigma,
        scale=statistics.scale,
        light_reach=search.band.light_reach,
        edges=search.push.edges,
        tau=math.inf,
        theta=math.pi / 2.0,
        variant="norm",
        lam=0.0,
        shift=None,
        push=-math.inf,
        push_limit=search.limit(1.0) if kind == "agnostic" and view.k else math.inf,
        gradient=statistics.G,
        deviation=0.0,
        cone=math.pi / 2.0,
        cone_method="trivial",
        cone_scale=1.0,
        cone_multiplier=0.0,
        cone_lam=0.0,
        disagreement=view.n,
        mistakes=mistakes,
        sure_mistakes=int(np.count_nonzero(wrong & sure)),
        sure_hits=int(np.count_nonzero(~wrong & sure)),
        eta=eta,
        delta=delta,
        n_candidates=n_candidates,
        eps_hat=math.nan if kind == "agnostic" else 1.0,
        optimum=0,
        opt_lower=0.0 if kind == "agnostic" else math.nan,
        error_upper=clopper_pearson(mistakes, view.n, 1.0 - delta / 2.0, "upper"),
        curve_etas=np.empty(0),
        curve_eps=np.empty(0),
        digest=digest or fingerprint(view.source, labels),
    )
