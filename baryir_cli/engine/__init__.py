"""The tiled engine: images of any size, in whatever memory there is."""

from baryir_cli.engine.corrector import NotFiniteError as NotFiniteError
from baryir_cli.engine.engine import Engine as Engine
