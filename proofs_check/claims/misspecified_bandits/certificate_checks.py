"""Claims about checking certificates, and about certificates under noise."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from algos.misspecified_bandits import BanditCertificate, certify_history
from proofs_check import Budget, Catalogue, Family, FloatBudget, Instance, Interval, Mutant, Outcome, Source
from proofs_check.claims.misspecified_bandits import _wrong_certificates as wrong
from proofs_check.claims.misspecified_bandits._histories import SIZES, certified, mistake, rival_world
from proofs_check.claims.misspecified_bandits._problems import EPS, actions, few, sparse_model

cat = Catalogue("misspecified_bandits/version_space")

_PROOF = "docs/theory/misspecified_bandits.md, Certificates and refutation"

# --- verification ---------------------------------------------------------------------------------------------------------------------

_TAMPERED: Mapping[str, Callable[[BanditCertificate], BanditCertificate]] = {
    "value": lambda c: replace(c, value=c.value - 1e-3),
    "upper": lambda c: replace(c, upper=c.upper - 1e-3, value=max(0.0, c.value - 1e-3)),
    "lower": lambda c: replace(c, lower=c.lower + 1e-3, value=max(0.0, c.value - 1e-3)),
    "eps_min": lambda c: replace(c, eps_min=c.eps_min + 1e-3),
    "rival": lambda c: replace(c, rival_coef=-c.rival_coef),
    "misfit": lambda c: replace(c, eps_min_coef=c.eps_min_coef + 0.1),
    "digest": lambda c: replace(c, digest="0" * len(c.digest)),
    "eps": lambda c: replace(c, eps=2.0 * c.eps),
}


@cat.identity(
    "MB-19e",
    budget=FloatBudget(k=1, why="marks, 0 or 1: no rounding"),
    impl={"certify": certify_history, "verify": BanditCertificate.verify},
    families=[
        Family("typical", rival_world, grid=tuple(size for size in SIZES if size["R"] == 1.0)),
        Family("adversarial", rival_world, grid=({"s": 2, "q": 3, "R": 0.25},), role="adversarial"),
    ],
    budgets=few(2, 20, 200),
    mutants=[
        Mutant("accept_all", "impl", {"verify": lambda f: lambda *given: True}, "nothing is checked"),
        Mutant("reject_all", "impl", {"verify": lambda f: lambda *given: False}, "nothing is accepted"),
        Mutant("digest_only", "impl", {"verify": wrong.digest_only}, "only the fingerprint of the data is checked"),
        mistake("eps_of_rivals_forgotten", wrong.without_eps, "unqueried actions get no eps of their own", "typical(s=2,q=3,*", "MB-19e"),
    ],
    source=Source("derived", proof=_PROOF),
    title="certificates can be checked",
    plain="Verification accepts what was certified, and rejects it after any of its numbers was improved by a thousandth, its models "
    "changed, its premises weakened, or an answer changed.",
)
def verified(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return what verification says about the certificate, about changed ones, and about other answers."""
    made = certified(inst, impl, len(inst.asked))
    data = (inst.X, inst.asked, inst.given)
    marks = [impl.verify(made, *data), *(impl.verify(change(made), *data) for change in _TAMPERED.values())]
    marks.append(impl.verify(made, inst.X, inst.asked, inst.given + 1e-3 * (np.arange(inst.given.size) == 0)))
    return Outcome(np.array(marks, dtype=np.float64), np.array([1.0] + [0.0] * (len(marks) - 1)))


# --- noise ----------------------------------------------------------------------------------------------------------------------------


def _noisy(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    X = actions(rng, "sphere", 8, 2)
    theta = sparse_model(rng, 2, 1)
    return Instance({**point, "eps": EPS, "R": 1.0, "s": 1}, {"X": X, "mean": X @ theta + rng.choice([-EPS, EPS], 8)})


@cat.soundness(
    "MB-19f",
    levels=(0.2, 0.05),
    delta_in_algorithm=True,
    impl={"certify": certify_history},
    families=[
        Family("typical", _noisy, grid=tuple({"sigma": 0.25, "pulls": n, "chosen": "uniform"} for n in (8, 60)), draw="part"),
        Family("greedy", _noisy, grid=({"sigma": 0.25, "pulls": 60, "chosen": "greedy"},), role="adversarial", draw="part"),
    ],
    budgets={
        "quick": Budget(256, 32, slack_trials=32),
        "full": Budget(2048, 64, slack_trials=256),
        "nightly": Budget(32_768, 64, slack_trials=2048),
    },
    mutants=[
        mistake("noise_forgotten", wrong.with_options(sigma=0.05), "means are taken for expectations", "greedy(*@0.05", "MB-19f"),
        mistake(
            "nothing_to_gain", wrong.always_zero, "the best observed action is taken for the best", "typical(*pulls=8,*@0.05", "MB-19f"
        ),
    ],
    blind_to=("constants of the radius of means: it holds for all numbers of pulls at once, and is far from attained at any one",),
    source=Source("derived", proof=_PROOF),
    title="certificates under noise",
    plain="With noisy rewards, the certificate holds and a true model is not refuted with probability 1 - delta, also when pulls go to the "
    "action that looks best.",
)
def certified_under_noise(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the suboptimality of the best mean with what is certified; infinity if the model is refuted."""
    noise = inst.sigma * rng.standard_normal(inst.pulls)
    sums, counts = np.zeros(8), np.zeros(8)
    asked = np.empty(inst.pulls, dtype=np.int64)
    for t in range(inst.pulls):
        greedy = inst.chosen == "greedy" and t >= 8
        asked[t] = int(np.argmax(sums / np.maximum(counts, 1.0))) if greedy else t % 8
        sums[asked[t]] += inst.mean[asked[t]] + noise[t]
        counts[asked[t]] += 1.0
    made = impl.certify(inst.X, asked, inst.mean[asked] + noise, s=inst.s, eps=inst.eps, R=inst.R, sigma=inst.sigma, delta=inst.delta)
    missed = float(inst.mean.max() - inst.mean[made.recommended])
    if made.refuted:
        return Outcome(math.inf, claimed=Interval(0.0, 0.0, "nothing: the model is true"), accepted=True)
    return Outcome(missed, claimed=Interval(0.0, float(made.value), "certificate"), accepted=True)
