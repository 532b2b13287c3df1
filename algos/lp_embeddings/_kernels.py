"""Compiled loops of this room; each has a plain numpy twin in its test."""
