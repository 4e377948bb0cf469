"""Weights: where they are found, what is known about them, how they are listed and checked."""
