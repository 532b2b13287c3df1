"""Tools that several systems need: kernels, validation, randomness, row blocks, whitening, guarantees.

Nothing is imported here: each system imports the one module that it needs, so that a light use (a formula, a list of names)
never pays for numba or scipy.
"""
