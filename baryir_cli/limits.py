"""Limits that hold unless the user raises them."""

from __future__ import annotations

MAX_MEGAPIXELS = 512
"""Larger images are not decoded."""
