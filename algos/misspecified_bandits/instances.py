"""Bandits with known truth: typical, hard, and adversarial. What is said about an instance's misspecification is exact, never likely."""

from algos.misspecified_bandits._ls_adversary import LsAdversary, make_ls_adversary
from algos.misspecified_bandits._mimics import MimicPair, mimic_pair
from algos.misspecified_bandits._needles import NeedleInstance, make_identical_features, make_jl_needle, make_rs_needle
from algos.misspecified_bandits._sparse_bandits import ADVERSARIES, BanditInstance, make_sparse_gaussian, make_sparse_sign, misspecify
from algos.misspecified_bandits._surfaces import SparseFit, SurfaceBandit, best_sparse_fit, make_diabetes_bandit

__all__ = [
    "ADVERSARIES",
    "BanditInstance",
    "LsAdversary",
    "MimicPair",
    "NeedleInstance",
    "SparseFit",
    "SurfaceBandit",
    "best_sparse_fit",
    "make_diabetes_bandit",
    "make_identical_features",
    "make_jl_needle",
    "make_ls_adversary",
    "make_rs_needle",
    "make_sparse_gaussian",
    "make_sparse_sign",
    "mimic_pair",
    "misspecify",
]
