"""Catalogues: where claims are declared, one decorator per kind, and looked up again.

A claim is a measurement with a decorator; the decorator returns the measurement unchanged.

Examples
--------
>>> import numpy as np
>>> from proofs_check import Catalogue, Mutant
>>> cat = Catalogue("mine")
>>> def radius(*, n, delta):
...     return np.sqrt(np.log(2 / delta) / (2 * n))
>>> @cat.tail("USR-01", bound=radius, levels=(.5, .2), impl={"mean": np.mean}, families={"coins": [dict(n=20, p=.5)]},
...           mutants=[Mutant("half", "bound", lambda f: lambda **k: f(**k) / 2, why="2n became 8n")],
...           source="folklore", plain="the mean of n coins is within radius of p")
... def deviation(inst, rng, impl):
...     return abs(impl.mean(rng.random(inst.n) < inst.p) - inst.p)
>>> [part.label for part in cat["USR-01"].parts()]
['coins(n=20,p=0.5)@0.5', 'coins(n=20,p=0.5)@0.2']
"""

import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, cast

from proofs_check.model import (
    DETERMINISTIC,
    RESERVED,
    TIERS,
    Bound,
    Budget,
    Claim,
    ClaimDefinitionError,
    Family,
    FloatBudget,
    Kind,
    Margin,
    Mutant,
    Num,
    Rule,
    Sense,
    Source,
    Subject,
    Tier,
    as_source,
)
from proofs_check.reported import attribute_claim

Measure = TypeVar("Measure", bound=Callable[..., Any])
MAX_CLAIMS = 1000  # times alpha_R = 1e-6 keeps the chance of any false alarm in a whole catalogue below 1e-3
CATALOGUE_FILE = Path(__file__).with_name("catalogue.json")

_TRIALS: dict[str, dict[Tier, int]] = {
    "counted": {"quick": 1536, "full": 20_032, "nightly": 1_000_000},
    "deterministic": {"quick": 8, "full": 64, "nightly": 1024},
    "paired": {"quick": 32, "full": 64, "nightly": 256},
}
_SLACK_TRIALS: dict[Tier, int] = {"quick": 256, "full": 2048, "nightly": 16_384}


_RULE = ("alpha_R", "alpha_A", "margin", "bracket_miss", "instance_miss")


class Common(TypedDict, total=False):
    """Keywords that every decorator takes.

    ``impl`` (a mapping of names to implementations) is short for one subject; ``subjects`` lists several.  ``families`` is a sequence of
    ``Family`` or a mapping of names to lists of parameter dictionaries.  ``trials`` and ``block`` override the budget of a tier
    (a number for all tiers, or a mapping), ``search`` sets the evaluations of the adversary; ``budgets`` replaces it all.
    """

    impl: Mapping[str, Any]
    subjects: Sequence[Subject]
    families: Mapping[str, Sequence[Mapping[str, Any]]] | Sequence[Family]
    mutants: Sequence[Mutant]
    source: Source | str
    plain: str
    title: str
    tex: str
    version: int
    requires: Callable[..., bool]
    companions: Sequence[str]
    tight: float
    trials: int | Mapping[Tier, int]
    block: int
    search: Mapping[Tier, int]
    budgets: Mapping[Tier, Budget]
    decided_in: Tier
    blind_to: Sequence[str]
    alpha_R: float
    alpha_A: float
    bracket_miss: float
    instance_miss: float
    margin: Margin
    ladder: Callable[..., Any]
    frozen: Mapping[str, Num]
    exact: Callable[..., Any]
    attribute: str
    params: Sequence[str]


class Catalogue:
    """A set of claims about one topic, for example ``Catalogue("lp_embeddings/lewis_weights")``.

    Behaves as a read-only mapping from claim id to :class:`~proofs_check.model.Claim`, in order of declaration.

    Parameters
    ----------
    topic : str
        ``"system/topic"`` or a single name.
    corpus : Path, optional
        Folder of worst instances with which searches begin; ``python -m proofs_check corpus --write`` fills it.
    """

    def __init__(self, topic: str, corpus: Path | None = None) -> None:
        self.topic, self.corpus = topic, corpus
        self._claims: dict[str, Claim] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)

    def __getitem__(self, claim_id: str) -> Claim:
        return self._claims[claim_id]

    def __contains__(self, claim_id: object) -> bool:
        return claim_id in self._claims

    def __repr__(self) -> str:
        return f"Catalogue({self.topic!r}, {len(self)} claims)"

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims in order of declaration."""
        return tuple(self._claims.values())

    def add(self, claim: Claim) -> Claim:
        """Add a finished claim; a second claim of the same id is refused.

        Where the bound names the attribute by which an estimator reports it, the claim ``<id>w`` that both are equal is added too.

        Raises
        ------
        ClaimDefinitionError
            Duplicate id, a kind that the engine cannot decide, or more than 1000 claims.
        """
        claim = self._insert(claim)
        reported = attribute_claim(claim)
        if reported is not None:
            self._insert(reported)
        return claim

    def _insert(self, claim: Claim) -> Claim:
        from proofs_check.corpora import remembering
        from proofs_check.rules import DECIDABLE

        if claim.id in self._claims:
            raise ClaimDefinitionError(f"{claim.id}: declared twice in {self.topic!r}; ids are unique")
        if claim.kind not in DECIDABLE:
            raise ClaimDefinitionError(f"{claim.id}: kind {claim.kind!r} is not yet decided by the engine; use {sorted(DECIDABLE)}")
        if len(self) >= MAX_CLAIMS:
            raise ClaimDefinitionError(f"{claim.id}: a catalogue holds at most {MAX_CLAIMS} claims, or its error budget would exceed 1e-3")
        claim = remembering(replace(claim, topic=claim.topic or self.topic), self.corpus)
        prefix, system = claim.id.split("-")[0], claim.topic.split("/")[0]
        if RESERVED.get(prefix, system) != system:
            raise ClaimDefinitionError(f"{claim.id}: the prefix {prefix} is reserved for {RESERVED[prefix]}; choose another, such as USR")
        self._claims[claim.id] = claim
        return claim

    def extend(self, other: "Catalogue") -> None:
        """Add every claim of another catalogue."""
        for claim in other.claims:
            self._insert(claim)

    def select(self, patterns: Iterable[str] = (), *, system: str | None = None, kind: str | None = None) -> tuple[Claim, ...]:
        """Return the claims that match one of the ids or globs (all for none), a system (first part of the topic) and a kind.

        Raises
        ------
        ValueError
            A pattern matches no claim of the catalogue.
        """
        wanted = tuple(patterns)
        for pattern in wanted:
            if not any(fnmatchcase(claim_id, pattern) for claim_id in self):
                raise ValueError(f"no claim matches {pattern!r}; known: {', '.join(self) or 'none'}")
        return tuple(
            claim
            for claim in self.claims
            if (not wanted or any(fnmatchcase(claim.id, pattern) for pattern in wanted))
            and (system is None or claim.topic.split("/")[0] == system)
            and (kind is None or claim.kind == kind)
        )

    def check_references(self) -> None:
        """Refuse companions and killers that are not in the catalogue."""
        for claim in self.claims:
            for mutant in claim.mutants:
                for killer in mutant.killers:
                    if killer not in self:
                        raise ClaimDefinitionError(f"{claim.id}: mutant {mutant.id!r} names killer {killer!r}, which no catalogue holds")
            for companion in claim.companions:
                if companion not in self:
                    raise ClaimDefinitionError(f"{claim.id}: companion {companion!r} is in no catalogue")

    # ------------------------------------------------------------------------------------------------------ one decorator per kind

    def inequality(
        self,
        claim_id: str,
        *,
        bound: Callable[..., Any] | None = None,
        sense: Sense = "<=",
        budget: FloatBudget | None = None,
        **common: Unpack[Common],
    ) -> Callable[[Measure], Measure]:
        """Declare that every trial's value (a number or an array, per iterate) respects the bound up to the float budget.

        Without ``bound`` the measurement brings the other side, ``value <= Outcome.reference`` (or ``Outcome.claimed``).
        """
        return self._declare("inequality", claim_id, common, bound=bound, sense=sense, budget=budget)

    def identity(
        self, claim_id: str, *, budget: FloatBudget, bound: Callable[..., Any] | None = None, **common: Unpack[Common]
    ) -> Callable[[Measure], Measure]:
        """Declare that a value equals the bound's value, or ``Outcome.reference``, within the float budget."""
        return self._declare("identity", claim_id, common, bound=bound, sense="==", budget=budget)

    def tail(
        self,
        claim_id: str,
        *,
        bound: Callable[..., Any],
        levels: Sequence[float],
        sense: Sense = "<=",
        delta_in_algorithm: bool = False,
        **common: Unpack[Common],
    ) -> Callable[[Measure], Measure]:
        """Declare that the bound fails with probability at most ``delta``, for every level listed.

        With ``delta_in_algorithm`` the algorithm sees ``inst.delta`` and every level has its own trials; otherwise all levels share them.
        """
        return self._declare("tail", claim_id, common, bound=bound, sense=sense, levels=levels, delta_in_algorithm=delta_in_algorithm)

    def expectation(
        self, claim_id: str, *, bound: Callable[..., Any], envelope: tuple[float, float], sense: Sense = "<=", **common: Unpack[Common]
    ) -> Callable[[Measure], Measure]:
        """Declare that the mean respects the bound; ``envelope`` holds the proved extremes of a single value."""
        return self._declare("expectation", claim_id, common, bound=bound, sense=sense, envelope=envelope)

    def rate(self, claim_id: str, *, bound: Callable[..., Any] | None = None, **common: Unpack[Common]) -> Callable[[Measure], Measure]:
        """Declare that an error falls with a given exponent over the window of sizes in the grid.

        Where a solver stands behind the errors, ``Outcome.aux["optimisation_gap"]`` says by how much each may be off: a tenth at most.
        """
        return self._declare("rate", claim_id, common, bound=bound, sense="<=")

    def lower(
        self, claim_id: str, *, bound: Callable[..., Any], levels: Sequence[float] = (), **common: Unpack[Common]
    ) -> Callable[[Measure], Measure]:
        """Declare that no subject does better than the bound."""
        return self._declare("lower", claim_id, common, bound=bound, sense=">=", levels=levels)

    def order(self, claim_id: str, **common: Unpack[Common]) -> Callable[[Measure], Measure]:
        """Declare that one method beats another on the same instances and seeds; the value is the difference."""
        return self._declare("order", claim_id, common)

    def soundness(
        self,
        claim_id: str,
        *,
        levels: Sequence[float],
        bound: Callable[..., Any] | None = None,
        delta_in_algorithm: bool = False,
        **common: Unpack[Common],
    ) -> Callable[[Measure], Measure]:
        """Declare that "accepted, and the true error exceeds the claimed one" has probability at most ``delta``.

        ``delta_in_algorithm`` as in :meth:`tail`: what a certificate claims usually depends on its ``delta``.
        """
        return self._declare("soundness", claim_id, common, bound=bound, levels=levels, delta_in_algorithm=delta_in_algorithm)

    def completeness(self, claim_id: str, *, levels: Sequence[float], **common: Unpack[Common]) -> Callable[[Measure], Measure]:
        """Declare that a promised input is rejected with probability at most ``delta``."""
        return self._declare("completeness", claim_id, common, levels=levels)

    def witness(
        self,
        claim_id: str,
        *,
        bound: Callable[..., Any] | None = None,
        sense: Sense = ">=",
        budget: FloatBudget | None = None,
        **common: Unpack[Common],
    ) -> Callable[[Measure], Measure]:
        """Declare that an instance with a stated property exists."""
        return self._declare("witness", claim_id, common, bound=bound, sense=sense, budget=budget)

    def _declare(
        self,
        kind: Kind,
        claim_id: str,
        common: Common,
        *,
        bound: Callable[..., Any] | None = None,
        sense: Sense = "<=",
        levels: Sequence[float] = (),
        budget: FloatBudget | None = None,
        delta_in_algorithm: bool = False,
        envelope: tuple[float, float] | None = None,
    ) -> Callable[[Measure], Measure]:
        unknown = sorted(set(common) - set(Common.__annotations__))
        if unknown:
            raise ClaimDefinitionError(f"{claim_id}: unknown keywords {unknown}; known: {', '.join(sorted(Common.__annotations__))}")
        for needed in ("families", "mutants", "source", "plain"):
            if needed not in common:
                raise ClaimDefinitionError(f"{claim_id}: no {needed!r}; every claim states it")
        options: dict[str, Any] = {"levels": tuple(levels), "budget": budget, "envelope": envelope}
        rule = Rule(kind, sense=sense, delta_in_algorithm=delta_in_algorithm, **options, **_given(common, *_RULE))
        try:
            formula = None if bound is None else _bound(bound, sense, common)
        except ClaimDefinitionError as error:
            raise ClaimDefinitionError(f"{claim_id}: {error}") from None

        def register(measure: Measure) -> Measure:
            self.add(
                Claim(
                    id=claim_id,
                    kind=kind,
                    title=common.get("title") or getattr(measure, "__name__", claim_id).strip("_").replace("_", " "),
                    source=as_source(common["source"]),
                    measure=measure,
                    families=_families(common["families"]),
                    subjects=_subjects(claim_id, common),
                    rule=rule,
                    mutants=tuple(common["mutants"]),
                    tiers=_budgets(kind, common),
                    bound=formula,
                    companions=tuple(common.get("companions", ())),
                    blind_to=tuple(common.get("blind_to", ())),
                    **_given(common, "plain", "tex", "version", "requires", "tight", "decided_in", "ladder"),
                )
            )
            return measure

        return register


def _given(common: Common, *names: str) -> dict[str, Any]:
    return {name: value for name, value in common.items() if name in names}


def _bound(fn: Callable[..., Any], sense: Sense, common: Common) -> Bound:
    params = common.get("params")
    frozen = common.get("frozen", {})
    if params is None:
        try:
            signature = inspect.signature(fn)
        except (TypeError, ValueError):
            raise ClaimDefinitionError(f"the parameters of bound {fn!r} cannot be read; name them in `params`") from None
        named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        found = signature.parameters.values()
        if any(p.kind not in named for p in found):
            raise ClaimDefinitionError(f"bound {fn!r} takes *args or **kwargs; name its parameters in `params`")
        params = [p.name for p in found if p.default is p.empty or p.name in frozen]
    return Bound(fn, tuple(params), sense, frozen=frozen, exact=common.get("exact"), attribute=common.get("attribute"))


def _families(families: Mapping[str, Sequence[Mapping[str, Any]]] | Sequence[Family]) -> tuple[Family, ...]:
    if isinstance(families, Mapping):
        return tuple(Family(name, grid=tuple(grid)) for name, grid in families.items())
    return tuple(families)


def _subjects(claim_id: str, common: Common) -> tuple[Subject, ...]:
    if ("impl" in common) == ("subjects" in common):
        raise ClaimDefinitionError(f"{claim_id}: give either `impl` (one implementation) or `subjects` (several)")
    return tuple(common["subjects"]) if "subjects" in common else (Subject("default", common["impl"]),)


def _budgets(kind: Kind, common: Common) -> dict[Tier, Budget]:
    if "budgets" in common:
        return dict(common["budgets"])
    group = "deterministic" if kind in DETERMINISTIC else "paired" if kind in ("rate", "order") else "counted"
    block = common.get("block", 64 if group == "counted" else 1)
    wanted = common.get("trials", {})
    budgets: dict[Tier, Budget] = {}
    for tier in TIERS:
        trials = wanted if isinstance(wanted, int) else wanted.get(tier, _TRIALS[group][tier])
        slack = _SLACK_TRIALS[tier] if group == "counted" else 0
        searched = common.get("search", {}).get(tier, 0)
        budgets[tier] = Budget(_whole(trials, block), block, searched, slack_trials=min(_whole(slack, block), _whole(trials, block)))
    return budgets


def _whole(trials: int, block: int) -> int:
    return -(-trials // block) * block


# ------------------------------------------------------------------------------------------------------------------------- look-up


def load_catalogue(spec: str | None = None) -> Catalogue:
    """Load ``"module:name"`` (name defaults to ``cat``), or the package's own claims for None.

    Raises
    ------
    ValueError
        The module or the catalogue in it does not exist.
    """
    if spec is None:
        catalogue = cast(Catalogue, importlib.import_module("proofs_check.claims").catalogue())
    else:
        module_name, _, attribute = spec.partition(":")
        if os.getcwd() not in sys.path and "" not in sys.path:
            sys.path.insert(0, os.getcwd())
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise ValueError(f"--catalogue {spec!r}: {error}; write module:name of an importable module") from error
        except ClaimDefinitionError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's module does wrong is told in one line, not in a traceback
            raise ValueError(f"--catalogue {spec!r}: importing {module_name} raised {type(error).__name__}: {error}") from error
        found = getattr(module, attribute or "cat", None)
        if not isinstance(found, Catalogue):
            raise ValueError(f"--catalogue {spec!r}: {attribute or 'cat'!r} in {module_name!r} is no Catalogue")
        catalogue = found
    catalogue.check_references()
    return catalogue


def describe(claim: Claim) -> dict[str, Any]:
    """Summarise a claim as plain JSON values: what ``list`` and ``show`` print and the report tabulates."""
    return {
        "id": claim.id,
        "version": claim.version,
        "kind": claim.kind,
        "system": claim.topic.split("/")[0],
        "topic": claim.topic,
        "title": claim.title,
        "plain": claim.plain,
        "tex": claim.tex,
        "source": {"origin": claim.source.origin, "reference": claim.source.reference, "recalled": claim.source.recalled},
        "sense": claim.sense,
        "levels": list(claim.rule.levels),
        "alpha_R": claim.rule.alpha_R,
        "alpha_A": claim.rule.alpha_A,
        "decided_in": claim.decided_in,
        "families": [{"name": f.name, "role": f.role, "points": len(f.grid)} for f in claim.families],
        "subjects": [s.name for s in claim.subjects],
        "parts": len(claim.parts()),
        "trials": {tier: claim.tiers[tier].trials for tier in TIERS},
        "mutants": [{"id": m.id, "where": m.where, "why": m.why, "quick": m.quick} for m in claim.mutants],
        "companions": list(claim.companions),
        "blind_to": list(claim.blind_to),
    }


def to_json(catalogue: Catalogue) -> str:
    """Write the summaries of all claims as the text of ``catalogue.json``."""
    return json.dumps({"schema": 1, "claims": [describe(claim) for claim in catalogue.claims]}, indent=1, ensure_ascii=False) + "\n"


def read_summary(path: Path = CATALOGUE_FILE) -> list[dict[str, Any]]:
    """Read the summaries from ``catalogue.json`` without importing a single claim."""
    return cast(list[dict[str, Any]], json.loads(path.read_text(encoding="utf-8"))["claims"])
