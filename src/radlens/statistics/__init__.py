"""Intervals, proportions, AUROC and its variances, paired tests, resampling by patient."""
