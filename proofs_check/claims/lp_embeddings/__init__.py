"""Claims about lp embeddings, one file per topic."""
