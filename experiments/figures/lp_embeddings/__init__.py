"""Figures of the lp embeddings room."""
