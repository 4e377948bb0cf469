"""Configs are checked at construction and survive JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.config import ConfigError, NetworkConfig
from models.network import build, parameter_count
from models.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name: str) -> None:
    config = preset(name)
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"width": 3}, "width must be even"),
    ({"width": 48.0}, "width must be a whole number"),
    ({"width": True}, "width must be a whole number"),
    ({"width": 5000}, "width must be a whole number"),
    ({"blocks": [1]}, "2 to 8 levels"),
    ({"blocks": [4, 6, 6, 999]}, "more than the limit of 512"),
    ({"blocks": "4668"}, "list of whole numbers"),
    ({"blocks": [4, 6, 6, -1]}, "list of whole numbers"),
    ({"heads": [1, 2, 4]}, "heads needs 4 entries"),
    ({"heads": [5, 2, 4, 8]}, r"heads\[0\] = 5 does not divide 48"),
    ({"heads": [0, 2, 4, 8]}, r"heads\[0\] = 0"),
    ({"width": 2, "heads": [1, 2, 8, 8]}, "official decoder"),
    ({"width": 2, "heads": [1, 2, 4, 8], "expansion": 0.3}, "leaves no hidden channel"),
    ({"expansion": float("nan")}, "expansion must be a number"),
    ({"expansion": 65}, "expansion must be a number above 0, at most 64, not 65"),
    ({"expansion": "2"}, "expansion must be a number"),
    ({"block": "resnet"}, "block must be one of"),
    ({"block": ["residual"]}, "block must be one of"),
    ({"conditioning": "none"}, "conditioning must be one of"),
    ({"map": "resnet"}, "map must be one of mdta, vit, unet, mlp, not 'resnet'"),
    ({"map": None}, "map must be one of"),
    ({"map": "unet", "map_blocks": 600}, "more than the limit of 512"),
    ({"fed": "residual"}, "fed must be one of source, bary, source_res, bary_res"),
    ({"fed": {}}, "fed must be one of"),
    ({"prompts": 65}, "prompts must be 0 to 64"),
    ({"prompts": -1}, "prompts must be a whole number"),
    ({"prompts": True}, "prompts must be a whole number"),
    ({"prompt_size": 0}, "prompt_size must be 1 to 64"),
    ({"prompt_size": 1 << 40}, "prompt_size must be a whole number"),
    ({"unshuffle": 0}, "unshuffle must be 1 to 8"),
    ({"resample_kernel": 5}, "resample_kernel must be 1 or 3"),
    ({"deconvolve": 1}, "deconvolve must be true or false, not 1"),
    ({"colour": 1}, "unknown config field 'colour'"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_wrong_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NetworkConfig.from_dict(values)


def test_a_config_must_be_an_object() -> None:
    with pytest.raises(ConfigError, match="JSON object"):
        NetworkConfig.from_dict([1])  # type: ignore[arg-type]


SIZES = {
    "official": (53_549_774, 8),
    "paper": (29_552_312, 8),
    "promptir": (39_473_689, 8),
    "small": (3_962_256, 8),
    "tiny": (325_237, 8),
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_their_sizes(name: str) -> None:
    parameters, multiple = SIZES[name]
    assert parameter_count(build(preset(name), "meta")) == parameters
    assert preset(name).multiple == multiple


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match="official, small, tiny, paper, promptir"):
        preset("huge")
