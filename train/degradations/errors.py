"""Errors of degradations."""

from __future__ import annotations


class DegradationError(ValueError):
    """An unknown degradation, or parameters or an image that it cannot take."""
