"""Evaluation: the loop over sets, statistics, reports, complexity."""
