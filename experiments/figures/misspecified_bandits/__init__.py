"""Figures of the misspecified bandits room."""
