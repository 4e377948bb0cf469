"""What the packages must agree on about files of images.

Here, at the bottom, because training and the tool both need it, and neither should import the
other's images for it.
"""

from __future__ import annotations

WIDEST_JPEG = 65_500
"""Largest side that libjpeg writes, in pixels."""
COMPARISON = ".compare.jpg"
"""What ``--compare`` adds to a name. Such a file is two pictures side by side."""
