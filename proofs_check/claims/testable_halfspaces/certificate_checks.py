"""Claims about the verification of certificates: it passes what is true, refuses what was edited, and cannot be talked into a falsehood."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import (
    HalfspaceCertificate,
    VerifyReport,
    agnostic_certificate,
    certify,
    exact_halfspace_error,
    massart_certificate,
)
from proofs_check import Budget, Catalogue, Family, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._populations import attained_rows
from proofs_check.claims.testable_halfspaces._problems import ADVERSARIAL, TYPICAL, planted

cat = Catalogue("testable_halfspaces/certificates")

FloatArray = npt.NDArray[np.float64]
Verify = Callable[[HalfspaceCertificate, FloatArray, FloatArray], VerifyReport]
Edit = Callable[[HalfspaceCertificate], Mapping[str, Any]]

_PASSES, _REFUSED = 1.0, -1.0


def _verify(certificate: HalfspaceCertificate, X: FloatArray, y: FloatArray) -> VerifyReport:
    return certificate.verify(X, y)


# --- edits ------------------------------------------------------------------------------------------------------------------------------


def _rotated(w: FloatArray, angle: float = 0.01) -> FloatArray:
    return np.asarray(math.cos(angle) * w + math.sin(angle) * np.r_[-w[1], w[0], np.zeros(w.size - 2)] / math.hypot(w[0], w[1]))


EDITS: dict[str, Edit] = {
    "w": lambda c: {"w": _rotated(c.w) / np.linalg.norm(_rotated(c.w))},
    "tau": lambda c: {"tau": c.tau / 2.0, "theta": math.atan(c.tau / 2.0)},
    "theta": lambda c: {"theta": c.theta / 2.0, "cone": c.theta / 2.0},
    "cone": lambda c: {"cone": c.cone / 2.0},
    "sigma": lambda c: {"sigma": 2.0 * c.sigma},
    "scale": lambda c: {"scale": 1.1 * c.scale},
    "push": lambda c: {"push": 1.01 * c.push},
    "gradient": lambda c: {"gradient": 0.9 * c.gradient},
    "delta": lambda c: {"delta": 10.0 * c.delta},
    "n_band": lambda c: {"n_band": c.n_band + 1},
    "mistakes": lambda c: {"mistakes": c.mistakes - 1},
    "sure_hits": lambda c: {"sure_hits": c.sure_hits + 5},
    "disagreement": lambda c: {"disagreement": c.disagreement - 1},
    "error_upper": lambda c: {"error_upper": 0.9 * c.error_upper},
}
_MASSART: dict[str, Edit] = {
    "eta": lambda c: {"eta": c.eta - 0.05},
    "n_candidates": lambda c: {"n_candidates": 5},
    "eps_hat": lambda c: {"eps_hat": 0.99 * c.eps_hat},
    "deviation": lambda c: {"deviation": 0.9 * c.deviation},
    "as_agnostic": lambda c: {"kind": "agnostic", "optimum": 5},
}
_AGNOSTIC: dict[str, Edit] = {
    "optimum": lambda c: {"optimum": c.optimum + 1},
    "opt_lower": lambda c: {"opt_lower": 1.1 * c.opt_lower},
    "as_massart": lambda c: {"kind": "massart", "eta": 0.1, "eps_hat": 1e-3},
}


def _certified(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Rows with a certificate that says something; the halfspace is a little off."""
    n, d = point["n"], point["d"]
    w = np.eye(d)[0]
    while True:
        X = np.array(planted(rng, {"marginal": point["marginal"], "n": n, "d": d}).X)
        y = np.where((X @ w >= 0.0) ^ (rng.random(n) < 0.1), 1.0, -1.0)
        seen = w + 0.002 * rng.standard_normal(d)
        certificate = massart_certificate(X, y, seen, 0.35, 0.1) if point["kind"] == "massart" else agnostic_certificate(X, y, seen, 0.5)
        if not certificate.vacuous and certificate.optimum != 1:
            return Instance(dict(point), {"X": X, "y": y, "certificate": certificate})


def _other_data(inst: Instance, rng: np.random.Generator) -> list[tuple[FloatArray, FloatArray]]:
    """Rows in another order, rows that differ in the ninth digit, and labels of the nearest rows flipped so that the gradient grows."""
    order = np.arange(inst.n)
    i = int(rng.integers(inst.n - 1))
    order[[i, i + 1]] = i + 1, i
    near = np.argsort(np.abs(inst.X @ inst.certificate.w))[: max(inst.n // 100, 1)]
    pulled = inst.y.copy()
    pulled[near] = np.where(inst.X[near, 1] >= 0.0, 1.0, -1.0)
    if np.array_equal(pulled, inst.y):
        pulled[near[0]] *= -1.0
    return [(inst.X[order], inst.y[order]), (inst.X + 1e-9, inst.y), (inst.X, pulled)]


def _without(*words: str) -> Callable[[Verify], Verify]:
    """Leave out the failures that contain one of the words: checks that are not made."""

    def wrap(original: Verify) -> Verify:
        def lenient(certificate: HalfspaceCertificate, X: FloatArray, y: FloatArray) -> VerifyReport:
            report = original(certificate, X, y)
            kept = tuple(failure for failure in report.failures if not any(word in failure for word in words))
            return replace(report, ok=not kept, failures=kept)

        return lenient

    return wrap


def _trusting(original: Verify) -> Verify:
    """Believe every stored number, and check whether they fit together."""

    def trusting(c: HalfspaceCertificate, X: FloatArray, y: FloatArray) -> VerifyReport:
        fits = c.push > c.gradient + c.deviation and c.n == len(X)
        proved = c.optimum - 1 + c.disagreement < c.sure_mistakes if c.kind == "agnostic" else c.eps_hat >= c.disagreement / c.n
        return VerifyReport(bool(fits and proved), ())

    return trusting


_SMALL = {"n": 1000, "d": 2, "marginal": "gaussian"}


def _leniency(name: str, why: str, *words: str, part: str = "typical(kind=massart,*", killer: str = "HS-22") -> Mutant:
    return Mutant(name, "impl", {"verify": _without(*words)}, why, part=part, killers=(killer,))


@cat.inequality(
    "HS-22",
    impl={"verify": _verify},
    families=[
        Family("typical", _certified, grid=tuple({"kind": kind, **_SMALL} for kind in ("massart", "agnostic"))),
        Family(
            "adversarial",
            _certified,
            grid=(
                {"kind": "massart", "n": 6000, "d": 3, "marginal": "uniform"},
                {"kind": "agnostic", "n": 1500, "d": 2, "marginal": "laplace"},
            ),
            role="adversarial",
        ),
    ],
    trials={"quick": 2, "full": 16, "nightly": 128},
    mutants=[
        Mutant(
            "trusts_what_is_stored",
            "impl",
            {"verify": _trusting},
            "LB and disagreement are read from the certificate",
            part="typical(kind=massart,*",
            killers=("HS-22",),
        ),
        _leniency("angle_not_checked", "the push is not recomputed", "push", "angle is not excluded"),
        _leniency("cone_not_checked", "the disagreement is not recomputed", "change sides"),
        _leniency("bound_not_checked", "the bound is not derived anew", "the data prove"),
        _leniency("order_not_checked", "any order of the rows will do", "are not those that were certified"),
        Mutant(
            "accept_all",
            "impl",
            {"verify": lambda f: lambda c, X, y: VerifyReport(True, ())},
            "every certificate is believed",
            part="typical(kind=massart,*",
            killers=("HS-22",),
        ),
    ],
    companions=("HS-22a", "HS-22b"),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Checking a certificate"),
    title="an edited certificate is refused",
    plain="A certificate in which a single number was changed so that it claims more, or that is shown other rows, other labels or the "
    "same ones in another order, does not pass its verification.",
)
def edited_certificates_that_pass(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return 1 for every edit that passes and -1 for one that is refused, beside 0."""
    certificate = inst.certificate
    edits = EDITS | (_MASSART if inst.kind == "massart" else _AGNOSTIC)
    shown = [(replace(certificate, **edit(certificate)), inst.X, inst.y) for edit in edits.values()]
    shown += [(certificate, X, y) for X, y in _other_data(inst, rng)]
    return Outcome(np.array([_PASSES if impl.verify(*what) else _REFUSED for what in shown]), 0.0)


# --- its twin: nothing true is refused ----------------------------------------------------------------------------------------------------


def _any_table(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = planted(rng, {"noise": "rcn", "rate": 0.1, **point})
    return Instance(dict(point), {"X": np.array(made.X), "y": np.array(made.y), "w": np.array(made.w)})


def _round_trip(certificate: HalfspaceCertificate) -> HalfspaceCertificate:
    again: HalfspaceCertificate = HalfspaceCertificate.from_json(certificate.to_json())
    return again


def _six_digits(original: Callable[..., Any]) -> Callable[..., Any]:
    def short(certificate: HalfspaceCertificate) -> HalfspaceCertificate:
        stored: HalfspaceCertificate = original(certificate)
        return replace(stored, gradient=float(f"{stored.gradient:.6g}"), error_upper=float(f"{stored.error_upper:.6g}"))

    return short


def _bit_for_bit(original: Verify) -> Verify:
    def strict(certificate: HalfspaceCertificate, X: FloatArray, y: FloatArray) -> VerifyReport:
        report = original(certificate, X, y)
        same = all(value == getattr(certificate, name) for name, value in report.recomputed.items())
        return replace(report, ok=report.ok and same)

    return strict


@cat.inequality(
    "HS-22a",
    impl={"verify": _verify, "round_trip": _round_trip},
    families=[
        Family("typical", _any_table, grid=tuple({"marginal": name, "n": 800, "d": d} for name in TYPICAL for d in (1, 2, 4))),
        Family("adversarial", _any_table, grid=tuple({"marginal": name, "n": 800, "d": 3} for name in ADVERSARIAL), role="adversarial"),
    ],
    trials={"quick": 1, "full": 16, "nightly": 128},
    mutants=[
        Mutant(
            "reject_all",
            "impl",
            {"verify": lambda f: lambda c, X, y: VerifyReport(False, ("no",))},
            "no certificate is believed",
            part="typical(marginal=gaussian,n=800,d=2)",
        ),
        Mutant(
            "bit_for_bit",
            "impl",
            {"verify": _bit_for_bit},
            "sums in another order and another basis are taken for other sums",
            part="typical(marginal=gaussian,n=800,d=2)",
        ),
        Mutant(
            "six_digits",
            "impl",
            {"round_trip": _six_digits},
            "numbers are stored with six digits",
            part="typical(marginal=gaussian,n=800,d=2)",
        ),
    ],
    companions=("HS-22",),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Checking a certificate"),
    title="every certificate made passes its verification",
    plain="Certificates of both kinds pass their verification on the rows and labels from which they were made, also after they were "
    "written as JSON and read again, whether or not they prove anything.",
)
def own_certificates_that_fail(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return 1 for every certificate that is refused on its own data and -1 for one that passes, beside 0."""
    made = [
        certify(inst.X, inst.y, inst.w),
        massart_certificate(inst.X, inst.y, inst.w, 0.4, 0.1),
        agnostic_certificate(inst.X, inst.y, inst.w, 0.5, form="norm"),
    ]
    return Outcome(np.array([-1.0 if impl.verify(impl.round_trip(certificate), inst.X, inst.y) else 1.0 for certificate in made]), 0.0)


# --- forgers ------------------------------------------------------------------------------------------------------------------------------


@cache
def _known_optimum(name: str) -> tuple[HalfspaceCertificate, FloatArray, FloatArray, int]:
    """Return a small table, a certificate to start from, and the exact optimum."""
    rng = np.random.default_rng(8)
    if name == "attained":
        X, y, w, sigma = attained_rows(rng, "flat", 1.0)
    else:
        X = rng.standard_normal((60, 2 if name == "reversed" else 3))
        w, sigma = np.eye(X.shape[1])[0], 1.0
        y = np.where((X @ w >= 0.0) ^ (rng.random(60) < (0.0 if name == "reversed" else 0.15)), 1.0, -1.0)
        w = -w if name == "reversed" else w
    return agnostic_certificate(X, y, w, sigma), X, y, exact_halfspace_error(X, y).n_mistakes


def _forged(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    """Forge a certificate of one mistake more than there need be; the forger chooses whatever the verification does not measure."""
    base, X, y, optimum = _known_optimum(point["table"])
    tau = base.sigma / base.scale * math.exp(float(np.clip(x[0], -5.0, 8.0)))
    method = ("count", "quadratic", "mixed")[int(3.0 * (0.5 + math.atan(x[1]) / math.pi) - 1e-9)]
    w = _rotated(base.w, 0.2 * math.tanh(x[2]))
    changed = replace(
        base, vacuous=False, optimum=optimum + 1, tau=tau, theta=math.atan(tau),
        w=w / np.linalg.norm(w), variant="norm" if x[3] < 1.0 else "quartic",
        sigma=base.sigma * math.exp(math.tanh(x[4])), scale=base.scale * math.exp(math.tanh(x[5])), lam=float(x[6]),
        cone=math.atan(tau) * (1.0 + 0.1 * math.tanh(x[7]) ** 2), cone_method=method, cone_scale=math.exp(math.tanh(x[8])),
        cone_multiplier=len(X) * math.exp(float(np.clip(x[9], -5.0, 5.0))), cone_lam=len(X) * float(x[10]), disagreement=0,
    )  # fmt: skip
    return Instance({"optimum": optimum}, {"X": X, "y": y, "certificate": changed})


def _random_forgery(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return _forged(rng.standard_normal(11), point)


def _half_the_mistakes(original: Verify) -> Verify:
    def lenient(c: HalfspaceCertificate, X: FloatArray, y: FloatArray) -> VerifyReport:
        report = original(c, X, y)
        found = {**report.recomputed, "deviation": report.recomputed.get("deviation", math.inf) / 2.0}
        return replace(report, recomputed=found, ok=_nearness(c, found) > 1.0)

    return lenient


def _one_side(original: Verify) -> Verify:
    def lenient(c: HalfspaceCertificate, X: FloatArray, y: FloatArray) -> VerifyReport:
        report = original(c, X, y)
        found = {**report.recomputed, "sure_hits": float(c.n)}
        return replace(report, recomputed=found, ok=_nearness(c, found) > 1.0)

    return lenient


def _nearness(c: HalfspaceCertificate, found: Mapping[str, float]) -> float:
    """How near the two inequalities of the proof are to holding: above one if both do."""
    if "push" not in found or "disagreement" not in found:
        return 0.0
    spent, needed = found["gradient"] + found["deviation"], c.optimum - 1 + found["disagreement"]
    pushed = found["push"] / spent if spent > 0.0 else 2.0 if found["push"] > 0.0 else 0.0
    return max(min(pushed, (min(found["sure_mistakes"], found["sure_hits"]) + 1.0) / (needed + 2.0)), 0.0)


@cat.inequality(
    "HS-22b",
    impl={"verify": _verify},
    families=[
        Family(
            "forger",
            _random_forgery,
            grid=tuple({"table": name} for name in ("attained", "reversed", "space")),
            role="adversarial",
            search=SearchSpace(lambda point: 11, _forged, start=((1.5, -9.0, *(0.0,) * 9),)),
        )
    ],
    budgets={
        "quick": Budget(8, 1, search_evals=200),
        "full": Budget(64, 1, search_evals=4000),
        "nightly": Budget(1024, 1, search_evals=100_000),
    },
    tight=0.9,
    mutants=[
        Mutant(
            "mistakes_counted_once",
            "impl",
            {"verify": _half_the_mistakes},
            "a mistake is taken to move the gradient by its push, not by twice its push",
            part="forger(table=attained)",
            killers=("HS-22b",),
        ),
        Mutant(
            "sum_not_compared",
            "impl",
            {"verify": _without("are not proved")},
            "the excluded angle is checked, not what follows from it",
            part="forger(table=reversed)",
            killers=("HS-22b",),
        ),
        Mutant(
            "one_side",
            "impl",
            {"verify": _one_side},
            "only the mistakes of w are compared, not its hits",
            part="forger(table=reversed)",
            killers=("HS-22b",),
        ),
    ],
    companions=("HS-22",),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Checking a certificate"),
    title="no choice of multipliers proves a falsehood",
    plain="No choice of halfspace, band, angle, multipliers and method makes a certificate pass that claims one mistake more than the "
    "exact optimum, even if every measured number in it is the right one.",
)
def forgery(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return how near the forgery comes to a proof (2 if it passes) beside 1."""
    filled = _with_measured_numbers(inst.certificate, inst.X, inst.y)
    report = impl.verify(filled, inst.X, inst.y)
    return Outcome(2.0 if report else min(_nearness(filled, report.recomputed), 1.0), 1.0)


_COUNTS = ("n_band", "mistakes", "sure_mistakes", "sure_hits", "disagreement")


def _with_measured_numbers(certificate: HalfspaceCertificate, X: FloatArray, y: FloatArray) -> HalfspaceCertificate:
    """Let the verification itself tell what it wants to read."""
    for _ in range(2):  # `error_upper` depends on the mistakes that are stored
        found: dict[str, Any] = dict(certificate.verify(X, y).recomputed)
        counts = {name: int(value) for name, value in found.items() if name in _COUNTS}
        certificate = replace(certificate, **{**found, **counts})
    return certificate
