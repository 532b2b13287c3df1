"""The parameters of `TestableHalfspace`, checked before any work starts."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from algos.common.validation import check_option, check_range
from algos.testable_halfspaces._arguments import checked_sigma
from algos.testable_halfspaces.band_statistics import MAX_QUARTIC_DIM
from algos.testable_halfspaces.calibration import CONFIDENCE, null_rank
from algos.testable_halfspaces.quartic_forms import MAX_SOS_FEATURES

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """Checked parameters; see `TestableHalfspace`."""

    noise: Literal["agnostic", "massart"]
    eta: float
    eps: float | Literal["auto"] | None
    delta: float
    delta_complete: float
    factor: float | None
    marginal: Literal["gaussian", "isotropic-logconcave"] | None
    transform: Literal["whiten", "standardize"] | None
    lift: bool
    sigmas: tuple[float, ...] | None
    n_restarts: int
    solver: Literal["rgd", "psgd"]
    learn_fraction: float
    certificate: Literal["auto", "quartic", "norm", "sos"]
    calibration: Literal["simulate", "theory"]
    n_calibration: int
    guarantee: Literal["rank", "tolerance"]
    max_quartic_dim: int
    on_reject: Literal["warn", "raise", "ignore"]
    force: bool
    n_jobs: int | None
    verbose: int

    @classmethod
    def of(cls, estimator: Any) -> "Settings":
        """Read and check the parameters of an estimator."""
        e = estimator
        noise = check_option(e.noise, ("agnostic", "massart"), name="noise")
        if noise == "massart" and e.eta is None:
            raise ValueError("eta is missing: noise='massart' needs a bound on the flip probability; noise='agnostic' assumes none")
        if noise == "agnostic" and e.eta is not None:
            raise ValueError(f"eta={e.eta!r} with noise='agnostic', which assumes no flip probability; give noise='massart', or eta=None")
        eta = 0.0 if e.eta is None else check_range(e.eta, name="eta", low=0.0, high=0.5, high_open=True)
        return cls(
            noise=noise,
            eta=eta,
            eps=_eps(e.eps, noise),
            delta=_share(e.delta, "delta"),
            delta_complete=_share(e.delta_complete, "delta_complete"),
            factor=None if e.factor is None else check_range(e.factor, name="factor", low=1.0),
            marginal=check_option(e.marginal, ("gaussian", "isotropic-logconcave", None), name="marginal"),
            transform=check_option(e.target_transform, (None, "whiten", "standardize"), name="target_transform"),
            lift=bool(e.fit_intercept),
            sigmas=_sigmas(e.sigmas),
            n_restarts=check_range(e.n_restarts, name="n_restarts", low=0, integer=True),
            solver=check_option(e.solver, ("rgd", "psgd"), name="solver"),
            learn_fraction=_share(e.learn_fraction, "learn_fraction"),
            certificate=check_option(e.certificate, ("auto", "quartic", "norm", "sos"), name="certificate"),
            calibration=check_option(e.calibration, ("simulate", "theory"), name="calibration"),
            n_calibration=check_range(e.n_calibration, name="n_calibration", low=2, integer=True),
            guarantee=check_option(e.calibration_guarantee, ("rank", "tolerance"), name="calibration_guarantee"),
            max_quartic_dim=check_range(e.max_quartic_dim, name="max_quartic_dim", low=1, high=MAX_QUARTIC_DIM, integer=True),
            on_reject=check_option(e.on_reject, ("warn", "raise", "ignore"), name="on_reject"),
            force=bool(e.force),
            n_jobs=e.n_jobs,
            verbose=int(e.verbose),
        )

    def check_simulations(self) -> None:
        """Raise if there are too few simulated tables for the level."""
        if self.marginal is not None and self.calibration == "simulate":
            half, sure = self.n_calibration - self.n_calibration // 2, CONFIDENCE if self.guarantee == "tolerance" else None
            null_rank(half, self.delta_complete / 2.0, sure)

    def quartic(self, d: int) -> bool:
        """Whether quartic forms are built for so many columns of mapped rows, or raise if that was asked for and is too much."""
        if self.certificate == "sos" and d > MAX_SOS_FEATURES:
            raise ValueError(
                f"certificate='sos' with {d} columns (an intercept counts): the limit is {MAX_SOS_FEATURES}; use certificate='auto'"
            )
        if self.certificate == "quartic" and d > self.max_quartic_dim:
            raise ValueError(
                f"certificate={self.certificate!r} with {d} columns (an intercept counts): max_quartic_dim={self.max_quartic_dim}; "
                "project the rows first, or use certificate='auto'"
            )
        return self.certificate != "norm" and d <= self.max_quartic_dim


def _share(value: Any, name: str) -> float:
    return float(check_range(value, name=name, low=0.0, high=1.0, low_open=True, high_open=True))


def _eps(eps: Any, noise: str) -> float | Literal["auto"] | None:
    if eps is None:
        return None
    if isinstance(eps, str):
        check_option(eps, ("auto",), name="eps")
        if noise != "massart":
            raise ValueError("eps='auto' is simulated for noise='massart' only; give a number or None with noise='agnostic'")
        return cast(Literal["auto"], eps)
    return float(check_range(eps, name="eps", low=0.0, low_open=True))


def _sigmas(sigmas: Any) -> tuple[float, ...] | None:
    if isinstance(sigmas, str):
        check_option(sigmas, ("auto",), name="sigmas")
        return None
    widths = tuple(checked_sigma(float(sigma), name="sigmas") for sigma in np.ravel(sigmas))
    if not widths:
        raise ValueError("sigmas is empty; give at least one width, or 'auto'")
    return widths
