"""Claims as tests: ``pytest --claims mymodule:cat``, ``@pytest.mark.claim("USR-01")`` and ``@parametrize_claims(...)``.

Every claim is a test, and so is every mutant.  REFUTED, ERROR, UNAVAILABLE and a surviving mutant fail; INCONCLUSIVE fails too, since it
says nothing, unless the claim is declared to be undecidable in the tier, or ``--claims-inconclusive skip`` asks for a visible skip.

Examples
--------
In a test file:

.. code-block:: python

    from proofs_check.pytest_plugin import parametrize_claims

    @parametrize_claims(catalogue="mymodule:cat", tier="quick")
    def test_claims(check):
        check()

    @pytest.mark.claim("USR-01", catalogue="mymodule:cat")
    def test_the_bound_is_tight(claim_verdict):
        assert claim_verdict.slack.worst > 0.7
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from proofs_check.evidence import MutantResult, RunResult, Tier, Verdict

__all__ = ["ClaimCheck", "ClaimItem", "parametrize_claims"]

Inconclusive = Literal["fail", "skip"]


# ---------------------------------------------------------------------------------------------------------------------- one check


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """A claim, or one mutant of it, as something that can be called: returns the verdict, or raises what pytest understands.

    Parameters
    ----------
    claim : str
        Id in the catalogue.
    mutant : str
        Id of a mutant; empty for the claim itself.
    catalogue : Catalogue, "module:name" or None
        None: the claims of the package.
    tier : {"quick", "full", "nightly"}
    root : int or None
        Root of all seeds; None for the repository's constant.
    inconclusive : {"fail", "skip"}
        What to do where the budget was spent without an answer.
    """

    claim: str
    mutant: str = ""
    catalogue: Any = None
    tier: Tier = "quick"
    root: int | None = None
    inconclusive: Inconclusive = "fail"

    def __call__(self) -> Verdict:
        """Run (once per session) and judge."""
        result = _result(self.claim, self.catalogue, self.tier, self.root)
        verdict = result.verdicts[0]
        trouble = self._mutant_trouble(verdict) if self.mutant else _trouble(verdict)
        if trouble is None:
            return verdict
        if trouble.startswith("INCONCLUSIVE") and (self.inconclusive == "skip" or verdict.expected):
            pytest.skip(trouble)
        raise AssertionError(f"{trouble}\n  again: {self._again(result)}")

    @property
    def name(self) -> str:
        """Name of the test."""
        return f"{self.claim}/{self.mutant}" if self.mutant else self.claim

    def _mutant_trouble(self, verdict: Verdict) -> str | None:
        found = next((mutant for mutant in verdict.mutants if mutant.id == self.mutant), None)
        if found is None:
            return f"ERROR {self.name}: the claim did not come as far as its mutants ({verdict.status})"
        if found.status == "not run":
            pytest.skip(f"{self.name}: {_why_not_run(verdict)}")
        return _mutant_words(found) if found.status in ("survived", "error") and (found.expected_dead or found.status == "error") else None

    def _again(self, result: RunResult) -> str:
        named = f" --catalogue {self.catalogue}" if isinstance(self.catalogue, str) else ""
        return f"python -m proofs_check run {self.claim} --tier {self.tier} --root {result.root}{named}"


def _trouble(verdict: Verdict) -> str | None:
    if verdict.status in ("VERIFIED", "SURVIVED"):
        return None
    found = [f"measured {each.measured:.6g} against {each.bound:.6g} on {each.part}" for each in verdict.counterexamples]
    return "\n  ".join([f"{verdict.status} {verdict.claim}: {verdict.reason}", *found])


def _mutant_words(mutant: MutantResult) -> str:
    return f"mutant {mutant.id} of {mutant.claim} {mutant.status}: {mutant.why} ({mutant.reason})"


def _why_not_run(verdict: Verdict) -> str:
    return "not a quick mutant" if verdict.status in ("VERIFIED", "SURVIVED") else f"the claim itself is {verdict.status}"


_finished: dict[tuple[Any, ...], RunResult] = {}


def _result(claim: str, catalogue: Any, tier: Tier, root: int | None) -> RunResult:
    from proofs_check.engine import run
    from proofs_check.seeds import ROOT

    key = (claim, catalogue if isinstance(catalogue, str | None) else id(catalogue), tier, root)
    if key not in _finished:
        _finished[key] = run(claim, tier, catalogue=catalogue, root=ROOT if root is None else root, out=None)
    return _finished[key]


def _checks(
    catalogue: Any, tier: Tier, root: int | None, inconclusive: Inconclusive, ids: Sequence[str] = (), **choice: Any
) -> Iterator[ClaimCheck]:
    from proofs_check.catalogue import Catalogue, load_catalogue

    everything = catalogue if isinstance(catalogue, Catalogue) else load_catalogue(catalogue)
    for claim in everything.select(ids, **choice):
        yield ClaimCheck(claim.id, "", catalogue, tier, root, inconclusive)
        for mutant in claim.mutants:
            if mutant.quick or tier != "quick":
                yield ClaimCheck(claim.id, mutant.id, catalogue, tier, root, inconclusive)


# -------------------------------------------------------------------------------------------------------------------- in test files


def parametrize_claims(
    *ids: str,
    catalogue: Any = None,
    system: str | None = None,
    kind: str | None = None,
    tier: Tier = "quick",
    root: int | None = None,
    inconclusive: Inconclusive = "fail",
) -> pytest.MarkDecorator:
    """Make one test per claim and per mutant; the decorated function takes ``check`` and calls it.

    Parameters
    ----------
    *ids : str
        Claim ids or globs; all claims by default.
    catalogue : Catalogue, "module:name" or None
        None: the claims of the package.
    system, kind : str, optional
        Further restrictions.
    tier : {"quick", "full", "nightly"}, default="quick"
        Budgets.
    root : int, optional
        Root of all seeds.
    inconclusive : {"fail", "skip"}, default="fail"
        What an undecided claim does.

    Returns
    -------
    pytest.MarkDecorator
    """
    checks = list(_checks(catalogue, tier, root, inconclusive, ids, system=system, kind=kind))
    return pytest.mark.parametrize("check", checks, ids=[check.name for check in checks])


@pytest.fixture
def claim_verdict(request: pytest.FixtureRequest) -> Verdict:
    """Verdict of the claim that the test is marked with; a claim that does not hold fails the test."""
    marker = request.node.get_closest_marker("claim")
    if marker is None:
        raise pytest.UsageError("claim_verdict needs a mark: @pytest.mark.claim('USR-01', catalogue='mymodule:cat')")
    return _marked(marker, request.config)[0]()


def _marked(marker: pytest.Mark, config: pytest.Config) -> list[ClaimCheck]:
    defaults: dict[str, Any] = {"tier": config.getoption("claims_tier"), "root": config.getoption("claims_root")}
    options = defaults | {"inconclusive": config.getoption("claims_inconclusive")} | dict(marker.kwargs)
    if not marker.args:
        raise pytest.UsageError("pytest.mark.claim names no claim; write @pytest.mark.claim('USR-01')")
    return [ClaimCheck(str(claim), **options) for claim in marker.args]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Put the claims that a test is marked with on trial, with their mutants, before the test runs."""
    for marker in item.iter_markers("claim"):
        for check in _marked(marker, item.config):
            for mutant in check().mutants:
                if mutant.status != "not run":
                    replace(check, mutant=mutant.id)()


# ----------------------------------------------------------------------------------------------------------------- from the command line


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--claims`` and its companions."""
    group = parser.getgroup("claims", "claims about algorithms")
    group.addoption("--claims", action="append", default=[], metavar="MODULE:CAT", help="try the claims of a catalogue, one test each")
    group.addoption("--claims-tier", choices=("quick", "full", "nightly"), default="quick", help="budgets (default: quick)")
    group.addoption("--claims-root", type=int, metavar="N", help="root of all seeds")
    group.addoption("--claims-inconclusive", choices=("fail", "skip"), default="fail", help="what an undecided claim does (default: fail)")
    group.addoption("--claims-report", metavar="FILE", help="write the report of the claims that ran (HTML)")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line("markers", "claim(id, ..., catalogue='module:name', tier='quick'): run only if these claims hold")


class ClaimItem(pytest.Item):
    """One claim or mutant of ``--claims``."""

    def __init__(self, *, check: ClaimCheck, **options: Any) -> None:
        super().__init__(**options)
        self.check = check

    def runtest(self) -> None:
        """Run and judge."""
        self.check()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the words of the verdict instead of a traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, AssertionError) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Name the test."""
        return self.path, None, f"claim {self.name}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the claims of the command line to what was collected."""
    for spec in config.getoption("claims"):
        try:
            checks = list(
                _checks(spec, config.getoption("claims_tier"), config.getoption("claims_root"), config.getoption("claims_inconclusive"))
            )
        except ValueError as error:
            raise pytest.UsageError(f"--claims {spec}: {error}") from error
        items.extend(ClaimItem.from_parent(session, name=check.name, nodeid=f"{spec}::{check.name}", check=check) for check in checks)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report that was asked for."""
    target = session.config.getoption("claims_report")
    if target and _finished:
        from proofs_check import report

        report.write(_together(list(_finished.values())), path=target)


def _together(results: Sequence[RunResult]) -> RunResult:
    """Join the runs of single claims."""
    first = results[0]
    summaries = {claim: summary for result in results for claim, summary in result.summaries.items()}
    verdicts = {verdict.claim: verdict for result in results for verdict in result.verdicts}
    return replace(first, verdicts=tuple(verdicts.values()), summaries=summaries, seconds=sum(result.seconds for result in results))
