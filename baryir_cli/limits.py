"""What is refused unless the user says otherwise."""

from __future__ import annotations

MAX_MEGAPIXELS = 512
"""Of an image; a larger one is not decoded."""
