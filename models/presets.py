"""Named network configs."""

from __future__ import annotations

from dataclasses import replace

from models.config import NetworkConfig

PAPER = NetworkConfig(map_blocks=2, conditioning="paper")

PRESETS: dict[str, NetworkConfig] = {
    # The authors' released checkpoint: 53.5 M parameters in use.
    "official": NetworkConfig(),
    # The paper's text: Restormer as backbone, T of two MDTA+GDFN blocks, MLPs on the residual.
    "paper": PAPER,
    # The same with PromptIR as backbone (Table III, last row).
    "promptir": replace(PAPER, prompts=5),
    # The embedded weights: dense convolutions from half resolution down, made for CPUs.
    "small": NetworkConfig(
        width=48,
        blocks=(5, 3, 1),
        heads=(2, 4, 8),
        refinement_blocks=1,
        map_blocks=2,
        block="residual",
        conditioning="paper",
        unshuffle=2,
        resample_kernel=1,
        scene=128,
        deconvolve=True,
        finish=True,
        margin=4,
    ),
    # For trying things out: the paper family with Restormer blocks, 0.3 M parameters.
    "tiny": NetworkConfig(
        width=8,
        blocks=(1, 1, 1, 1),
        heads=(1, 2, 4, 8),
        refinement_blocks=1,
        map_blocks=2,
        conditioning="paper",
    ),
}


def preset(name: str) -> NetworkConfig:
    """The config with that name.

    Raises:
        KeyError: there is none; the message lists all names.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise KeyError(f"no preset {name!r}; there are {', '.join(PRESETS)}") from None
