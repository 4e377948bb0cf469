"""The largest JPEG, which degradations, comparisons and JPEG 2000 must know."""

from __future__ import annotations

WIDEST = 65_500
"""Largest side that libjpeg writes, in pixels."""
