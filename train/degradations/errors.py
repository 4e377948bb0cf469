"""What cannot be done to a picture."""

from __future__ import annotations


class DegradationError(ValueError):
    """No such degradation, or none for these parameters or this image; the message says why."""
