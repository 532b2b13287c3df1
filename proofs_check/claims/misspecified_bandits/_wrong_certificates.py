"""Mistakes in certificates, as functions that make others."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import BanditCertificate
from algos.misspecified_bandits._bandit_certificate import answer_table, read_history

FloatArray = npt.NDArray[np.float64]
Maker = Callable[..., BanditCertificate]


def _changed(change: Callable[[BanditCertificate], BanditCertificate]) -> Callable[[Maker], Maker]:
    return lambda original: lambda *given, **options: change(original(*given, **options))


def _no_refuge(c: BanditCertificate) -> BanditCertificate:
    return replace(c, refuted=False, value=0.0 if math.isnan(c.value) else c.value)


without_eps = _changed(
    lambda c: replace(c, upper=c.upper - c.eps, value=max(0.0, c.upper - c.eps - c.lower)) if c.rival_support.size else c
)
always_zero = _changed(lambda c: replace(c, value=0.0, refuted=False))
never_refuted = _changed(_no_refuge)
always_refuted = _changed(lambda c: replace(c, refuted=True, value=math.nan))
zero_when_refuted = _changed(lambda c: replace(c, value=0.0) if c.refuted else c)
halved_misfit = _changed(lambda c: replace(c, eps_min=0.5 * c.eps_min))
doubled_misfit = _changed(lambda c: replace(c, eps_min=2.0 * c.eps_min))


def with_options(**factors: float) -> Callable[[Maker], Maker]:
    """Certify with some options multiplied."""

    def wrap(original: Maker) -> Maker:
        return lambda *given, **options: original(*given, **{**options, **{name: options[name] * f for name, f in factors.items()}})

    return wrap


def sparser(original: Maker) -> Maker:
    """Certify for models with one column less."""
    return lambda *given, **options: original(*given, **{**options, "s": max(options["s"] - 1, 1)})


def denser(original: Maker) -> Maker:
    """Certify for models with one column more."""
    return lambda *given, **options: original(*given, **{**options, "s": options["s"] + 1})


def best_support(original: Maker) -> Maker:
    """Certify for the support that fits best."""

    def made(X: FloatArray, *given: Any, **options: Any) -> BanditCertificate:
        support = original(X, *given, **options).eps_min_support
        return original(X[:, support], *given, **options)

    return made


def misfit_of_first_columns(original: Maker) -> Maker:
    """Certify for the first s columns."""
    return lambda X, *given, **options: original(X[:, : options["s"]], *given, **options)


def for_the_best_observed(original: Maker) -> Maker:
    """Certify the best observed action, and say that it is the recommended one."""

    def made(*given: Any, recommended: int, **options: Any) -> BanditCertificate:
        return replace(original(*given, **options), recommended=recommended)

    return made


def with_offset(original: Maker) -> Maker:
    """Give every answer to the action that was asked before."""
    return lambda X, asked, given, **options: original(X, np.roll(asked, 1), given, **options)


def without_last_answer(original: Maker) -> Maker:
    """Leave out the last answer, unless it is the best one: then the first."""

    def made(X: FloatArray, asked: Any, given: FloatArray, **options: Any) -> BanditCertificate:
        kept = np.arange(len(given)) != (len(given) - 1 if np.argmax(given) != len(given) - 1 else 0)
        return original(X, asked[kept], given[kept], **options)

    return made


def residual_of_least_squares(original: Maker) -> Maker:
    """Take the largest residual of least squares for the misfit."""

    def made(X: FloatArray, asked: Any, given: FloatArray, **options: Any) -> BanditCertificate:
        right = original(X, asked, given, **options)
        rows = X[asked][:, right.eps_min_support]
        coef = np.linalg.lstsq(rows, given, rcond=None)[0]
        return replace(right, eps_min=float(np.max(np.abs(rows @ coef - given))))

    return made


def digest_only(original: Any) -> Callable[..., bool]:
    """Check the fingerprint of the data, and nothing else."""

    def verify(certificate: BanditCertificate, X: FloatArray, asked: Any, given: FloatArray) -> bool:
        return answer_table(*read_history(X, asked, given, sigma=certificate.sigma)) == certificate.digest

    return verify
