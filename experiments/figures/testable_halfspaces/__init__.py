"""Figures of the testable halfspaces room."""
