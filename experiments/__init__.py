"""Data, figures and benchmarks: the part of the package that runs the algorithms on real input.

``python -m experiments list`` prints what there is.
"""
