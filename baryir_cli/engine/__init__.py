"""The tiled engine: any image, any size, on whatever memory there is."""

from baryir_cli.engine.forward import NotFiniteError as NotFiniteError
from baryir_cli.engine.tiled import Engine as Engine
from baryir_cli.engine.tiled import Report as Report
