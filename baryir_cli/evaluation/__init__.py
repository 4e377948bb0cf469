"""Evaluation: the loop over sets, statistics, reports and complexity."""
