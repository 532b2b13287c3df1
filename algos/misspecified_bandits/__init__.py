"""The best of many actions when a sparse linear model of the rewards is only nearly right.

There are more actions than queries, each action has features, and rewards are linear in a few of them up to an error eps. A learner asks
for actions, is told their rewards, and recommends one; a certificate says how much better any other action can be, or that no sparse
model within eps explains what was observed.

The question follows Dong and Yang, "Does Sparsity Help in Learning Misspecified Linear Bandits?", ICML 2023 (arXiv 2303.16998); all
constants are our own. Names are loaded on first use, so that importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from algos.misspecified_bandits.baselines import ExhaustiveSearch, RandomSearch
    from algos.misspecified_bandits.choosing import LearnerChoice, which_learner
    from algos.misspecified_bandits.cover_enumeration import SparseCoverEnumeration, cover_actions
    from algos.misspecified_bandits.elimination import OptimisticElimination
    from algos.misspecified_bandits.environments import AdaptiveAdversary, LinearBanditEnv, ResistedSearch, ResistingOracle
    from algos.misspecified_bandits.exact_version_space import ExactVersionSpace
    from algos.misspecified_bandits.gopt_least_squares import GOptLeastSquares
    from algos.misspecified_bandits.hull_enumeration import HullEnumeration, hull_actions, hull_vertices
    from algos.misspecified_bandits.instances import (
        BanditInstance,
        LsAdversary,
        MimicPair,
        NeedleInstance,
        SparseFit,
        SurfaceBandit,
        best_sparse_fit,
        make_diabetes_bandit,
        make_identical_features,
        make_jl_needle,
        make_ls_adversary,
        make_rs_needle,
        make_sparse_gaussian,
        make_sparse_sign,
        mimic_pair,
        misspecify,
    )
    from algos.misspecified_bandits.least_squares import LsWorstCase, lebesgue_function, ls_worst_case, prediction_weights
    from algos.misspecified_bandits.linucb import MisspecifiedLinUCB
    from algos.misspecified_bandits.nets import ball_net, sphere_net
    from algos.misspecified_bandits.norming import NormingConstant, norming_constant
    from algos.misspecified_bandits.optimal_design import Design, g_optimal_design
    from algos.misspecified_bandits.phased_elimination import PhasedElimination
    from algos.misspecified_bandits.running import Trace, Transcript, run, simulate, transcript_success
    from algos.misspecified_bandits.search import SearchFailed, SearchResult, best_action_search
    from algos.misspecified_bandits.sparse_recovery import SparseRecoveryBandit
    from algos.misspecified_bandits.sparse_regressor import SparseMisspecifiedRegressor
    from algos.misspecified_bandits.version_space import (
        BanditCertificate,
        CertificateCurve,
        certificate_curve,
        certify_history,
    )


_HOMES = {
    "AdaptiveAdversary": "environments",
    "BanditCertificate": "version_space",
    "BanditInstance": "instances",
    "CertificateCurve": "version_space",
    "Design": "optimal_design",
    "ExactVersionSpace": "exact_version_space",
    "ExhaustiveSearch": "baselines",
    "GOptLeastSquares": "gopt_least_squares",
    "HullEnumeration": "hull_enumeration",
    "LearnerChoice": "choosing",
    "LinearBanditEnv": "environments",
    "LsAdversary": "instances",
    "LsWorstCase": "least_squares",
    "MimicPair": "instances",
    "MisspecifiedLinUCB": "linucb",
    "NeedleInstance": "instances",
    "NormingConstant": "norming",
    "OptimisticElimination": "elimination",
    "PhasedElimination": "phased_elimination",
    "RandomSearch": "baselines",
    "ResistedSearch": "environments",
    "ResistingOracle": "environments",
    "SearchFailed": "search",
    "SearchResult": "search",
    "SparseCoverEnumeration": "cover_enumeration",
    "SparseFit": "instances",
    "SparseMisspecifiedRegressor": "sparse_regressor",
    "SparseRecoveryBandit": "sparse_recovery",
    "SurfaceBandit": "instances",
    "Trace": "running",
    "Transcript": "running",
    "ball_net": "nets",
    "best_action_search": "search",
    "best_sparse_fit": "instances",
    "certificate_curve": "version_space",
    "certify_history": "version_space",
    "cover_actions": "cover_enumeration",
    "g_optimal_design": "optimal_design",
    "hull_actions": "hull_enumeration",
    "hull_vertices": "hull_enumeration",
    "lebesgue_function": "least_squares",
    "ls_worst_case": "least_squares",
    "make_diabetes_bandit": "instances",
    "make_identical_features": "instances",
    "make_jl_needle": "instances",
    "make_ls_adversary": "instances",
    "make_rs_needle": "instances",
    "make_sparse_gaussian": "instances",
    "make_sparse_sign": "instances",
    "mimic_pair": "instances",
    "misspecify": "instances",
    "norming_constant": "norming",
    "prediction_weights": "least_squares",
    "run": "running",
    "simulate": "running",
    "sphere_net": "nets",
    "transcript_success": "running",
    "which_learner": "choosing",
}

__all__ = [
    "AdaptiveAdversary",
    "BanditCertificate",
    "BanditInstance",
    "CertificateCurve",
    "Design",
    "ExactVersionSpace",
    "ExhaustiveSearch",
    "GOptLeastSquares",
    "HullEnumeration",
    "LearnerChoice",
    "LinearBanditEnv",
    "LsAdversary",
    "LsWorstCase",
    "MimicPair",
    "MisspecifiedLinUCB",
    "NeedleInstance",
    "NormingConstant",
    "OptimisticElimination",
    "PhasedElimination",
    "RandomSearch",
    "ResistedSearch",
    "ResistingOracle",
    "SearchFailed",
    "SearchResult",
    "SparseCoverEnumeration",
    "SparseFit",
    "SparseMisspecifiedRegressor",
    "SparseRecoveryBandit",
    "SurfaceBandit",
    "Trace",
    "Transcript",
    "ball_net",
    "best_action_search",
    "best_sparse_fit",
    "certificate_curve",
    "certify_history",
    "cover_actions",
    "g_optimal_design",
    "hull_actions",
    "hull_vertices",
    "lebesgue_function",
    "ls_worst_case",
    "make_diabetes_bandit",
    "make_identical_features",
    "make_jl_needle",
    "make_ls_adversary",
    "make_rs_needle",
    "make_sparse_gaussian",
    "make_sparse_sign",
    "mimic_pair",
    "misspecify",
    "norming_constant",
    "prediction_weights",
    "run",
    "simulate",
    "sphere_net",
    "transcript_success",
    "which_learner",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
