"""Claims about misspecified linear bandits, one file per topic."""
