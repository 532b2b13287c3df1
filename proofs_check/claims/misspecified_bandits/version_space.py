"""Claims about certificates of searches: they hold, they are attained, eps_min is the least misfit, and only false models are refuted."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from algos.misspecified_bandits import certify_history
from proofs_check import Catalogue, Family, FloatBudget, Instance, Outcome, Source
from proofs_check.claims.misspecified_bandits import _certificate_oracles as oracles
from proofs_check.claims.misspecified_bandits import _wrong_certificates as wrong
from proofs_check.claims.misspecified_bandits._histories import (
    HISTORIES,
    OPPONENTS,
    SIZES,
    all_seen,
    certified,
    collapsed,
    few_answers,
    mistake,
    of_diabetes,
    rival_world,
    searched,
    unseen,
)
from proofs_check.claims.misspecified_bandits._problems import EPS, few

cat = Catalogue("misspecified_bandits/version_space")

_PROOF = "docs/theory/misspecified_bandits.md, Certificates and refutation"

_CLOSE = FloatBudget(
    k=1,
    scale=lambda inst, out: 2.0**53 * 1e-10 * (1.0 + float(np.max(np.abs(inst.X)))),
    why="corners of polygons and optima of linear programs are off by rounding, times multipliers that add up to at most a million",
)


@cat.inequality(
    "MB-19",
    budget=_CLOSE,
    impl={"certify": certify_history},
    families=[
        Family("histories", searched, grid=HISTORIES),
        Family("diabetes", of_diabetes, grid=({"s": 2, "q": 40}, {"s": 2, "q": 400}), role="real"),
        Family("opposed", searched, grid=OPPONENTS, role="adversarial"),
        Family("rival_is_true", rival_world, grid=SIZES, role="adversarial"),
        Family("collapsed", collapsed, grid=({"s": 1}, {"s": 2}, {"s": 3}), role="adversarial"),
        Family("unseen", unseen, grid=SIZES, role="adversarial"),
    ],
    budgets=few(2, 20, 200),
    tight=0.999,
    companions=("MB-19a", "MB-19b"),
    mutants=[
        mistake(
            "eps_of_rivals_forgotten", wrong.without_eps, "unqueried actions get no eps of their own", "rival_is_true(s=2,q=3,*", "MB-19"
        ),
        mistake("half_eps", wrong.with_options(eps=0.5), "answers are trusted to eps / 2", "rival_is_true(s=2,q=8,*", "MB-19"),
        mistake(
            "euclidean_ball",
            wrong.with_options(R=0.7),
            "R bounds the length of the model, not its coefficients",
            "rival_is_true(s=2,q=3,R=1)",
            "MB-19",
        ),
        mistake(
            "best_support_only", wrong.best_support, "only the support that fits best is looked at", "rival_is_true(s=2,q=3,R=1)", "MB-19"
        ),
        mistake("one_column_less", wrong.sparser, "models with s - 1 columns", "rival_is_true(s=2,q=3,R=1)", "MB-19"),
        mistake(
            "best_observed_for_recommended",
            wrong.for_the_best_observed,
            "an unqueried action is certified as if it were the best observed one",
            "unseen(s=2,q=3,R=1)",
            "MB-19",
        ),
        mistake(
            "last_answer_twice",
            wrong.with_offset,
            "an answer is shifted by an index",
            "histories(learner=random,s=2,errors=signs)",
            "MB-19",
        ),
        mistake(
            "no_slack",
            wrong.with_options(eps=1.0 - 1e-5),
            "constraints are strict, and rounding leaves no model",
            "collapsed(s=2)",
            "MB-19",
        ),
        mistake(
            "nothing_to_gain", wrong.always_zero, "the best observed action is taken for the best", "rival_is_true(s=2,q=3,R=1)", "MB-19"
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="no action beats it by more",
    plain="Along the histories of all learners, no action is better than the best observed or the recommended one by more than the "
    "certificate says, and a true model is never refuted: also where the error is eps everywhere, and in the world that the certificate "
    "names as the worst.",
    tex=r"\max_br(b)-r(\hat a)\le\max\left(0,\max_{S,w\in V_S,a}\langle w,\varphi_S(a)\rangle+\varepsilon-r_{\mathrm{low}}(\hat a)\right)",
)
def suboptimality_and_certificate(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the suboptimality after some and after all answers, infinite where a true model is refuted, beside the certificates."""
    found = []
    for q in sorted({min(3, len(inst.asked)), len(inst.asked) // 2 or 1, len(inst.asked)}):
        made = certified(inst, impl, q)
        missed = float(inst.mean.max() - inst.mean[made.recommended])
        found.append((math.inf, 1.0) if made.refuted else (missed, made.value))
    return Outcome(np.array([missed for missed, _ in found]), np.array([value for _, value in found]))


# --- by linear programs ---------------------------------------------------------------------------------------------------------------


def _answers(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    X, asked, given, R = few_answers(rng, point, point["errors"])
    kept = np.union1d(asked, np.arange(12))  # few actions: each takes a linear program for every support
    asked = np.searchsorted(kept, asked)
    return Instance({**point, "eps": EPS, "R": R}, {"X": X[kept], "asked": asked, "given": given})


_PROGRAMS = tuple({**size, "errors": errors} for size in SIZES if size["s"] < 3 for errors in ("uniform", "signs"))
_SOLVED = FloatBudget(
    k=1,
    scale=lambda inst, out: 2.0**53 * 1e-9,
    why="linear programs that are feasible within 1e-10, whose multipliers add up to less than ten",
)


@cat.identity(
    "MB-19a",
    budget=_SOLVED,
    impl={"certify": certify_history},
    families=[
        Family("typical", _answers, grid=tuple(point for point in _PROGRAMS if point["errors"] == "uniform")),
        Family("adversarial", _answers, grid=tuple(point for point in _PROGRAMS if point["errors"] == "signs"), role="adversarial"),
    ],
    budgets=few(1, 8, 64),
    mutants=[
        mistake("twice_eps", wrong.with_options(eps=2.0), "answers are trusted to 2 eps: valid, and loose", "typical(s=2,q=8,*", "MB-19a"),
        mistake("box_forgotten", wrong.with_options(R=1e3), "coefficients are not bounded", "typical(s=2,q=5,*", "MB-19a"),
        mistake("eps_of_rivals_forgotten", wrong.without_eps, "unqueried actions get no eps of their own", "typical(s=2,q=3,*", "MB-19a"),
        mistake("one_answer_forgotten", wrong.without_last_answer, "the last answer has not arrived", "typical(s=2,q=3,*", "MB-19a"),
        mistake("one_column_more", wrong.denser, "models with s + 1 columns", "typical(s=1,q=3,*", "MB-19a"),
    ],
    source=Source("derived", proof=_PROOF),
    title="the certificate is the best one",
    plain="The certificate equals the largest value of linear programs, one for every support and unqueried action, with the slack that is "
    "stated: nothing smaller follows from the answers.",
)
def certificate_by_programs(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the certificate beside the value of all linear programs."""
    made = impl.certify(inst.X, inst.asked, inst.given, s=inst.s, eps=inst.eps, R=inst.R)
    return Outcome(float(made.value), oracles.certificate(inst.X, inst.asked, inst.given, inst.s, inst.eps, inst.R))


@cat.identity(
    "MB-19b",
    budget=_SOLVED,
    impl={"certify": certify_history},
    families=[
        Family("typical", _answers, grid=tuple({**point, "q": 12} for point in _PROGRAMS if point["q"] == 3)),
        Family(
            "bounded",
            _answers,
            grid=({"s": 2, "q": 12, "R": 0.25, "errors": "signs"}, {"s": 3, "q": 12, "R": 1.0, "errors": "signs"}),
            role="adversarial",
        ),
        Family("loose", _answers, grid=tuple(point for point in _PROGRAMS if point["q"] == 8), role="adversarial"),
    ],
    budgets=few(3, 30, 300),
    mutants=[
        mistake(
            "least_squares", wrong.residual_of_least_squares, "the residual of least squares on the best support", "typical(s=2,*", "MB-19b"
        ),
        mistake(
            "box_forgotten",
            wrong.with_options(R=1e3),
            "coefficients are not bounded",
            "bounded(s=2,*",
            "MB-19b",
        ),
        mistake("one_support", wrong.misfit_of_first_columns, "the first s columns only", "typical(s=1,*", "MB-19b"),
        mistake("half_the_range", wrong.halved_misfit, "half of the least misfit", "typical(s=2,*", "MB-19b"),
    ],
    source=Source("derived", proof=_PROOF),
    title="eps_min is the least Chebyshev residual",
    plain="eps_min equals the smallest optimum of linear programs, one for each support, that fit the answers in the maximum norm with "
    "bounded coefficients.",
    tex=r"\varepsilon_{\min}=\min_S\min_{\lVert w\rVert_\infty\le R}\max_b\lvert\langle w,\varphi_S(b)\rangle-y_b\rvert",
)
def least_misfit(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return eps_min beside the optima of the programs; answers are doubled so that coefficients meet their bound."""
    given = 2.0 * inst.given if inst.R < 1.0 else inst.given
    made = impl.certify(inst.X, inst.asked, given, s=inst.s, eps=inst.eps, R=inst.R)
    return Outcome(float(made.eps_min), oracles.least_misfit(inst.X, inst.asked, given, inst.s, inst.R)[0])


# --- refutation -----------------------------------------------------------------------------------------------------------------------


@cat.inequality(
    "MB-19c",
    budget=_CLOSE,
    impl={"certify": certify_history},
    families=[
        Family("histories", searched, grid=HISTORIES),
        Family("diabetes", of_diabetes, grid=({"s": 2, "q": 40}, {"s": 2, "q": 400}), role="real"),
        Family("opposed", searched, grid=OPPONENTS, role="adversarial"),
        Family("collapsed", collapsed, grid=({"s": 1}, {"s": 2}, {"s": 3}), role="adversarial"),
    ],
    budgets=few(2, 20, 200),
    tight=0.999,
    mutants=[
        mistake("sparser", wrong.sparser, "models with s - 1 columns", "histories(learner=exhaustive,s=2,*", "MB-19c"),
        mistake(
            "least_squares",
            wrong.residual_of_least_squares,
            "the largest residual of least squares",
            "histories(learner=exhaustive,s=2,errors=signs)",
            "MB-19c",
        ),
        mistake("one_support", wrong.misfit_of_first_columns, "the first s columns only", "histories(learner=exhaustive,s=1,*", "MB-19c"),
        mistake("range", wrong.doubled_misfit, "the width of the band, not half of it", "collapsed(s=2)", "MB-19c"),
    ],
    source=Source("derived", proof=_PROOF),
    title="eps_min is at most eps",
    plain="When the model holds up to eps, eps_min is at most eps for every history; this is attained where errors of "
    "both signs leave a single model.",
    tex=r"\varepsilon_{\min}\le\varepsilon",
)
def misfit_of_true_models(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return eps_min after half of the answers and after all, beside eps."""
    found = [certified(inst, impl, q).eps_min for q in (max(len(inst.asked) // 2, 1), len(inst.asked))]
    return Outcome(np.array(found), np.full(2, inst.eps))


_WRONG_SIZE = tuple({"s": s, "factor": factor} for s in (1, 2, 3) for factor in (0.5, 1.0, 1.2, 2.0, 8.0))


@cat.identity(
    "MB-19d",
    budget=FloatBudget(k=1, why="marks, 0 or 1: no rounding"),
    impl={"certify": certify_history},
    families=[
        Family("typical", all_seen, grid=tuple(point for point in _WRONG_SIZE if point["factor"] in (0.5, 8.0))),
        Family(
            "adversarial", all_seen, grid=tuple(point for point in _WRONG_SIZE if point["factor"] not in (0.5, 8.0)), role="adversarial"
        ),
    ],
    budgets=few(2, 10, 100),
    mutants=[
        mistake("never_refuted", wrong.never_refuted, "an empty version space certifies 0", "typical(s=2,factor=8)", "MB-19d"),
        mistake("always_refuted", wrong.always_refuted, "every model is refuted", "typical(s=2,factor=0.5)", "MB-19d"),
        mistake("zero_when_refuted", wrong.zero_when_refuted, "a refuted model has the certificate 0", "typical(s=2,factor=8)", "MB-19d"),
        mistake("tolerant", wrong.with_options(eps=3.0), "models are refuted beyond 3 eps", "adversarial(s=2,factor=2)", "MB-19d"),
    ],
    source=Source("derived", proof=_PROOF),
    title="false models are refuted, and certify nothing",
    plain="When all actions are observed, a model is refuted if and only if linear programs find no model within eps; then there is no "
    "certificate, not one of 0.",
)
def refutation(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return whether the model is refuted and nothing is certified beside what the programs say."""
    made = certified(inst, impl, len(inst.asked))
    floor, _, _ = oracles.least_misfit(inst.X, inst.asked, inst.given, inst.s, inst.R)
    truth = float(floor > inst.eps * (1.0 + 1e-6))
    if abs(floor - inst.eps) < 1e-5 * inst.eps:  # rounding decides
        truth = float(made.refuted)
    return Outcome(np.array([float(made.refuted), float(math.isnan(made.value))]), np.array([truth, truth]))
