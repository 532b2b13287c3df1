"""Bandits with known truth: typical, hard, and adversarial. What is said about an instance's misspecification is exact, never likely."""

from algos.misspecified_bandits._needles import NeedleInstance, make_identical_features, make_jl_needle, make_rs_needle

__all__ = ["NeedleInstance", "make_identical_features", "make_jl_needle", "make_rs_needle"]
