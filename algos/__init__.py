"""Learning-theory algorithms as scikit-learn style estimators, one sub-package for each system."""
