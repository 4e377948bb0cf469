"""The tiled engine: any image, any size, on whatever memory there is."""

from baryir_cli.engine.corrector import NotFiniteError as NotFiniteError
from baryir_cli.engine.engine import Engine as Engine
