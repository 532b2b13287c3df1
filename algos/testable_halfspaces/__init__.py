"""Halfspaces with a proof: a linear classifier that can say "your data break my assumption", and otherwise how good it is.

Given rows and labels, is the error of a linear classifier the noise floor, a bad local optimum, or the fault of the distribution? A
tester-learner answers with a halfspace that is certified to be nearly the best one, or rejects and names the direction in which the rows
break the assumption. The certificate is computed from moments measured in a band around the halfspace; its soundness does not rest on
the assumed distribution, so that it holds for any linear classifier: see `certify`.

The problem follows Gollakota, Klivans, Stavropoulos and Vasilyan, "An Efficient Tester-Learner for Halfspaces", ICLR 2024
(arXiv 2302.14853); all constants are our own. Names are loaded on first use, so that importing the package costs next to nothing.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from algos.testable_halfspaces.achievable import minimal_eps
    from algos.testable_halfspaces.band_statistics import BandStatistics, band_statistics
    from algos.testable_halfspaces.band_test import band_test
    from algos.testable_halfspaces.calibration import Calibration, calibrate
    from algos.testable_halfspaces.certificates import (
        HalfspaceCertificate,
        VerifyReport,
        agnostic_certificate,
        certify,
        massart_certificate,
    )
    from algos.testable_halfspaces.disagreement import DisagreementBound, disagreement_bound, disagreement_test
    from algos.testable_halfspaces.display import HalfspaceDisplay
    from algos.testable_halfspaces.distribution_shift import ShiftBound, predict_mask, shift_bound
    from algos.testable_halfspaces.estimators import TestableHalfspace
    from algos.testable_halfspaces.exact_oracles import ExactError, exact_halfspace_error
    from algos.testable_halfspaces.instances import HalfspaceInstance, make_halfspace
    from algos.testable_halfspaces.moment_tests import FourthMoment, fourth_moment_search, gaussian_moment_test
    from algos.testable_halfspaces.quartic_forms import QuarticBound, quartic_sup_bound
    from algos.testable_halfspaces.ramp_learner import Candidate, RampLoss, RampPath, default_sigmas, ramp_loss, ramp_path
    from algos.testable_halfspaces.results import DistributionRejected, DistributionRejectedWarning, InfeasibleEps, TestResult, tests_table

_HOMES = {
    "BandStatistics": "band_statistics",
    "Calibration": "calibration",
    "Candidate": "ramp_learner",
    "DisagreementBound": "disagreement",
    "DistributionRejected": "results",
    "DistributionRejectedWarning": "results",
    "ExactError": "exact_oracles",
    "FourthMoment": "moment_tests",
    "HalfspaceCertificate": "certificates",
    "HalfspaceDisplay": "display",
    "HalfspaceInstance": "instances",
    "InfeasibleEps": "results",
    "QuarticBound": "quartic_forms",
    "RampLoss": "ramp_learner",
    "RampPath": "ramp_learner",
    "ShiftBound": "distribution_shift",
    "TestResult": "results",
    "TestableHalfspace": "estimators",
    "VerifyReport": "certificates",
    "agnostic_certificate": "certificates",
    "band_statistics": "band_statistics",
    "band_test": "band_test",
    "calibrate": "calibration",
    "certify": "certificates",
    "default_sigmas": "ramp_learner",
    "disagreement_bound": "disagreement",
    "disagreement_test": "disagreement",
    "exact_halfspace_error": "exact_oracles",
    "fourth_moment_search": "moment_tests",
    "gaussian_moment_test": "moment_tests",
    "make_halfspace": "instances",
    "massart_certificate": "certificates",
    "minimal_eps": "achievable",
    "predict_mask": "distribution_shift",
    "quartic_sup_bound": "quartic_forms",
    "ramp_loss": "ramp_learner",
    "ramp_path": "ramp_learner",
    "shift_bound": "distribution_shift",
    "tests_table": "results",
}

__all__ = [
    "BandStatistics",
    "Calibration",
    "Candidate",
    "DisagreementBound",
    "DistributionRejected",
    "DistributionRejectedWarning",
    "ExactError",
    "FourthMoment",
    "HalfspaceCertificate",
    "HalfspaceDisplay",
    "HalfspaceInstance",
    "InfeasibleEps",
    "QuarticBound",
    "RampLoss",
    "RampPath",
    "ShiftBound",
    "TestResult",
    "TestableHalfspace",
    "VerifyReport",
    "agnostic_certificate",
    "band_statistics",
    "band_test",
    "calibrate",
    "certify",
    "default_sigmas",
    "disagreement_bound",
    "disagreement_test",
    "exact_halfspace_error",
    "fourth_moment_search",
    "gaussian_moment_test",
    "make_halfspace",
    "massart_certificate",
    "minimal_eps",
    "predict_mask",
    "quartic_sup_bound",
    "ramp_loss",
    "ramp_path",
    "shift_bound",
    "tests_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Room(ModuleType):
    """The package, where ``band_test`` always means the function, not the file of that name that an import would bind."""

    def __setattr__(self, name: str, value: Any) -> None:
        shadows = isinstance(value, ModuleType) and _HOMES.get(name) == name
        super().__setattr__(name, getattr(value, name) if shadows else value)


sys.modules[__name__].__class__ = _Room
