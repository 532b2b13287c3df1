"""Exit codes of the command line, the same as those of ``python -m proofs_check``."""

EXIT_OK = 0
EXIT_REFUTED = 1  # a claim refuted, a mutant that survived; with bench --strict a target missed
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3  # something inconclusive, in error, or without its data
EXIT_INTERRUPTED = 130
