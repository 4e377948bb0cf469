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
    ({"width": 3}, "width 3: use an even number from 2 to 4096"),
    ({"width": 48.0}, "width .*: use a whole number from 0 to 4096"),
    ({"width": True}, "width .*: use a whole number from 0 to 4096"),
    ({"width": 5000}, "width .*: use a whole number from 0 to 4096"),
    ({"blocks": [1]}, "2 to 8 levels"),
    ({"blocks": [4, 6, 6, 999]}, "more than the limit of 512"),
    ({"blocks": "4668"}, "list of whole numbers"),
    ({"blocks": [4, 6, 6, -1]}, "list of whole numbers"),
    ({"heads": [1, 2, 4]}, "heads needs 4 entries"),
    ({"heads": [5, 2, 4, 8]}, r"heads\[0\] = 5 does not divide 48"),
    ({"heads": [0, 2, 4, 8]}, r"heads\[0\] = 0"),
    ({"width": 2, "heads": [1, 2, 8, 8]}, "official decoder"),
    ({"width": 2, "heads": [1, 2, 4, 8], "expansion": 0.3}, "leaves no hidden channel"),
    ({"expansion": float("nan")}, "expansion .*: use a number above 0"),
    ({"expansion": 65}, "expansion 65: use a number above 0, up to 64"),
    ({"expansion": "2"}, "expansion .*: use a number above 0"),
    ({"block": "resnet"}, "block .*: use transformer or residual"),
    ({"block": ["residual"]}, "block .*: use transformer or residual"),
    ({"conditioning": "none"}, "conditioning 'none': use official or paper"),
    ({"map": "resnet"}, "map 'resnet': use mdta, vit, unet or mlp"),
    ({"map": None}, "map None: use"),
    ({"map": "unet", "map_blocks": 600}, "more than the limit of 512"),
    ({"fed": "residual"}, "fed 'residual': use source, bary, source_res or bary_res"),
    ({"fed": {}}, "fed {}: use"),
    ({"prompts": 65}, "prompts 65: use a whole number from 0 to 64"),
    ({"prompts": -1}, "prompts .*: use a whole number from 0 to 4096"),
    ({"prompts": True}, "prompts .*: use a whole number from 0 to 4096"),
    ({"prompt_size": 0}, "prompt_size 0: use a whole number from 1 to 64"),
    ({"prompt_size": 1 << 40}, "prompt_size .*: use a whole number from 0 to 4096"),
    ({"unshuffle": 0}, "unshuffle 0: use a whole number from 1 to 8"),
    ({"resample_kernel": 5}, "resample_kernel 5: use 1 or 3"),
    ({"deconvolve": 1}, "deconvolve 1: use true or false"),
    ({"finish": 1}, "finish 1: use true or false"),
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
    with pytest.raises(KeyError, match="official, paper, promptir, small, tiny"):
        preset("huge")
