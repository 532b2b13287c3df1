"""A harness that tries to refute claims about algorithms.

A theorem, an identity or an experiment becomes a *claim*: a bound, a measurement, families of problems and a list of plausible mistakes.
The harness looks for a violation with controlled error probabilities, and for every mistake asks whether it would have noticed.

Everything is imported on first use, so that ``import proofs_check`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proofs_check.calibration import calibrate as calibrate
    from proofs_check.catalogue import Catalogue as Catalogue
    from proofs_check.catalogue import load_catalogue as load_catalogue
    from proofs_check.counterexamples import replay as replay
    from proofs_check.engine import check as check
    from proofs_check.engine import run as run
    from proofs_check.estimators import check_estimator_bound as check_estimator_bound
    from proofs_check.model import BlockRecord as BlockRecord
    from proofs_check.model import Bound as Bound
    from proofs_check.model import Budget as Budget
    from proofs_check.model import Claim as Claim
    from proofs_check.model import ClaimDefinitionError as ClaimDefinitionError
    from proofs_check.model import Counterexample as Counterexample
    from proofs_check.model import DatasetRef as DatasetRef
    from proofs_check.model import EquivalentProof as EquivalentProof
    from proofs_check.model import Evidence as Evidence
    from proofs_check.model import Family as Family
    from proofs_check.model import FloatBudget as FloatBudget
    from proofs_check.model import Instance as Instance
    from proofs_check.model import InstanceKey as InstanceKey
    from proofs_check.model import Interval as Interval
    from proofs_check.model import Margin as Margin
    from proofs_check.model import MissingDataError as MissingDataError
    from proofs_check.model import Mutant as Mutant
    from proofs_check.model import MutantResult as MutantResult
    from proofs_check.model import Outcome as Outcome
    from proofs_check.model import Part as Part
    from proofs_check.model import Rule as Rule
    from proofs_check.model import RunResult as RunResult
    from proofs_check.model import SearchSpace as SearchSpace
    from proofs_check.model import Slack as Slack
    from proofs_check.model import Source as Source
    from proofs_check.model import Subject as Subject
    from proofs_check.model import Verdict as Verdict
    from proofs_check.records import load_records as load_records
    from proofs_check.search import search_worst as search_worst

_HOMES = {
    "proofs_check.calibration": ("calibrate",),
    "proofs_check.catalogue": ("Catalogue", "load_catalogue"),
    "proofs_check.estimators": ("check_estimator_bound",),
    "proofs_check.engine": ("check", "run"),
    "proofs_check.records": ("load_records",),
    "proofs_check.search": ("search_worst",),
    "proofs_check.counterexamples": ("replay",),
    "proofs_check.model": (
        "BlockRecord",
        "Bound",
        "Budget",
        "Claim",
        "ClaimDefinitionError",
        "Counterexample",
        "DatasetRef",
        "EquivalentProof",
        "Evidence",
        "Family",
        "FloatBudget",
        "Instance",
        "InstanceKey",
        "Interval",
        "Margin",
        "MissingDataError",
        "Mutant",
        "MutantResult",
        "Outcome",
        "Part",
        "Rule",
        "RunResult",
        "SearchSpace",
        "SearchSpace",
        "Slack",
        "Source",
        "Subject",
        "Verdict",
    ),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
