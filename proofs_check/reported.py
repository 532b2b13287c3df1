"""One formula, three consumers: what an estimator reports about itself is, bit for bit, the formula that the claim checks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from proofs_check.model import Bound, Claim, ClaimDefinitionError, FloatBudget, Mutant, Outcome, Rule, as_outcome

__all__ = ["attribute_claim"]

# No rounding is granted: the smallest positive double times any unit roundoff is zero.
_EXACT = FloatBudget(k=1, scale=5e-324, why="bit for bit: the attribute is the same call of the same function")


@dataclass(frozen=True, slots=True)
class Reported:
    """Measurement of what was reported: the entry of ``Outcome.aux`` that has the attribute's name."""

    measure: Callable[..., Any]
    attribute: str

    def __call__(self, *arguments: Any) -> Outcome:
        """Measure, and look at what the estimator says about itself."""
        aux: Mapping[str, Any] = as_outcome(self.measure(*arguments)).aux
        name = self.attribute.rsplit(".", 1)[-1]
        if name not in aux:
            raise ValueError(f"the bound names the attribute {self.attribute}; return Outcome(value, aux={{{name!r}: fitted.{name}}})")
        return Outcome(aux[name])


def _next_number(fn: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **k: np.nextafter(fn(**k), np.inf)


def attribute_claim(claim: Claim) -> Claim | None:
    """Return the claim ``<id>w`` that an attribute equals the bound, or None where the bound names no attribute.

    Parameters
    ----------
    claim : Claim
        Its measurement returns the attribute in ``Outcome.aux``.

    Returns
    -------
    Claim or None

    Raises
    ------
    ClaimDefinitionError
        The id has two letters already, so that none is left for ``w``.
    """
    if claim.bound is None or claim.bound.attribute is None:
        return None
    if claim.id[-2:].isalpha():
        raise ClaimDefinitionError(f"{claim.id}: an id with two letters leaves none for the claim about {claim.bound.attribute}; drop one")
    bound: Bound = replace(claim.bound, sense="==", attribute=None, exact=None)
    return replace(
        claim,
        id=claim.id + "w",
        kind="identity",
        title=f"{claim.bound.attribute.rsplit('.', 1)[-1]} is the formula",
        plain=f"{claim.bound.attribute} equals the formula of {claim.id}, to the last bit.",
        tex="",
        measure=Reported(claim.measure, claim.bound.attribute),
        bound=bound,
        rule=Rule("identity", levels=claim.rule.levels, delta_in_algorithm=claim.rule.delta_in_algorithm, budget=_EXACT),
        mutants=(Mutant("next_number", "bound", _next_number, why="differs in the last bit"),),
        tiers={tier: replace(budget, trials=budget.block, slack_trials=0) for tier, budget in claim.tiers.items()},
        families=tuple(replace(family, search=None) for family in claim.families),
        requires=None,  # whatever was reported must be the formula, also where the statement itself promises nothing
        companions=(),
        ladder=None,
        tight=None,
        blind_to=(),
    )
