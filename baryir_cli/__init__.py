"""BaryIR: blind all-in-one image restoration.

>>> from baryir_cli import Restorer
>>> restored = Restorer.from_weights("small").restore(image)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baryir_cli.restorer import Restorer

__version__: str
__all__ = ["Restorer", "__version__"]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    # Importing the engine takes torch along, which --help must not wait for.
    if name == "Restorer":
        from baryir_cli.restorer import Restorer

        return Restorer
    if name == "__version__":
        from importlib.metadata import version

        return version("baryir")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
