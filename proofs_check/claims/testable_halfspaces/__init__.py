"""Claims about testable halfspaces, one file per topic."""
