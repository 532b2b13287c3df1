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
    from algos.testable_halfspaces.band_statistics import BandStatistics, band_statistics
    from algos.testable_halfspaces.disagreement import DisagreementBound, disagreement_bound, disagreement_test
    from algos.testable_halfspaces.quartic_forms import QuarticBound, quartic_sup_bound
    from algos.testable_halfspaces.ramp_learner import Candidate, RampLoss, RampPath, default_sigmas, ramp_loss, ramp_path
    from algos.testable_halfspaces.results import DistributionRejected, DistributionRejectedWarning, InfeasibleEps, TestResult, tests_table

_HOMES = {
    "BandStatistics": "band_statistics",
    "Candidate": "ramp_learner",
    "DisagreementBound": "disagreement",
    "DistributionRejected": "results",
    "DistributionRejectedWarning": "results",
    "InfeasibleEps": "results",
    "QuarticBound": "quartic_forms",
    "RampLoss": "ramp_learner",
    "RampPath": "ramp_learner",
    "TestResult": "results",
    "band_statistics": "band_statistics",
    "default_sigmas": "ramp_learner",
    "disagreement_bound": "disagreement",
    "disagreement_test": "disagreement",
    "quartic_sup_bound": "quartic_forms",
    "ramp_loss": "ramp_learner",
    "ramp_path": "ramp_learner",
    "tests_table": "results",
}

__all__ = [
    "BandStatistics",
    "Candidate",
    "DisagreementBound",
    "DistributionRejected",
    "DistributionRejectedWarning",
    "InfeasibleEps",
    "QuarticBound",
    "RampLoss",
    "RampPath",
    "TestResult",
    "band_statistics",
    "default_sigmas",
    "disagreement_bound",
    "disagreement_test",
    "quartic_sup_bound",
    "ramp_loss",
    "ramp_path",
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
