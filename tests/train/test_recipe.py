"""Recipes, and the one line that says what is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import train.recipe
from train.recipe import Recipe, RecipeError, SourceRecipe, Stage, shipped

GOOD: dict[str, Any] = {"sources": {"denoise": {"probability": 1}}}


def test_every_recipe_in_the_package_is_listed() -> None:
    folder = Path(train.recipe.__file__).parent / "recipes"
    assert set(shipped().values()) == set(folder.iterdir())


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes_survive_json(name: str) -> None:
    recipe = Recipe.load(shipped()[name])
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_missing_entries_are_those_of_the_paper_recipe() -> None:
    assert Recipe() == Recipe.from_dict({}) == Recipe.load(shipped()["paper"])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"colour": 1}, "unknown entry 'colour'"),
    ({"sources": {}}, "needs sources"),
    ({"sources": 3}, "sources 3: use a table"),
    ({"sources": {"derian": {}}}, "^sources 'derian': use denoise, derain, .* or single"),
    ({"sources": {"denoise": 3}}, "denoise 3: use a table"),
    ({"sources": {"denoise": {"probability": 0}}}, "^denoise: probability 0: use a number above 0"),
    ({"sources": {"denoise": {"weight": 2}}}, "denoise has no 'weight'; there are probability, "),
    ({"sources": {"denoise": {"probability": 1, "paired_share": 2}}}, "^denoise: paired_share"),
    (
        {"sources": {"denoise": {"probability": 10**400}}},
        "^denoise: probability 1000.*: use a smaller number",
    ),
    (
        {"stages": [{"share": 1e308, "patch": 64, "batch": 1}]},
        "^a stage: share 1e.308: use a smaller number",
    ),
    ({"stages": []}, "needs sources and stages"),
    ({"stages": [{"share": 1}]}, "a stage needs patch and batch"),
    ({"stages": {"share": 1}}, "stages .*: use a list"),
    ({"stages": [{"share": 1, "patch": 64, "batch": 0}]}, "^a stage: batch 0: use"),
    (
        {"stages": [{"share": 1, "patch": 64, "batch": 5000}]},
        "batch 5000: use a whole number from 1 to 4096",
    ),
    ({"stages": [{"share": 1, "patch": 20, "batch": 1}]}, "patch 20: use a multiple of 8"),
    ({"seed": 2**63}, "seed 9223372036854775808: use a smaller number"),
    ({"noise": []}, r"noise \[\]: use one level or more"),
    ({"noise": [15, 300]}, "noise 300: use a number from 0 to 255"),
    ({"noise": ["a", 15]}, "noise 'a': use a list of numbers"),
    ({"noise": [10**400]}, "wrong entry: int too large"),
    ({"noise_range": [50, 15]}, "noise_range 15.*: use a number from 50 to 255"),
    ({"noise_range": [15]}, "noise_range .*: use two levels"),
    ({"noise_range": []}, "noise_range .*: use two levels"),
    ({"camera_share": 1.5}, "camera_share 1.5: use a number from 0 to 1"),
    ({"objective": "mine"}, "objective 'mine': use paper or reference"),
    ({"losses": ["l2"]}, "losses 'l2': use mwb, irc or bro"),
    ({"losses": ["irc", "irc"]}, "losses names an entry twice"),
    ({"frozen": ["tail"]}, "frozen 'tail': use judge, encoder, .* or head"),
    ({"frozen": "judge"}, "frozen 'judge': use a list"),
    ({"pixel_loss": "l2"}, "pixel_loss 'l2': use l1 or psnr"),
    ({"sources": {"denoise": {"variety": -1}}}, "variety -1: use a number from 0 to 4"),
    ({"sources": {"denoise": {"toneless": 2}}}, "toneless 2: use a number from 0 to 1"),
    (
        {"sources": {"denoise": {"noise_share": 0.1}}},
        "^denoise: noise_share is not for denoise, which is noise",
    ),
    (
        {"preset": "small", "sources": {"deblur": {"noise_share": 0.1}}},
        "^deblur: noise_share is not for blur that the network deconvolves",
    ),
    ({"weights": 3}, "weights 3: use"),
    ({"schedule": "linear"}, "schedule 'linear': use"),
    ({"drops": [0.5, 1.5]}, "drops 1.5: use"),
    ({"precision": "int8"}, "precision 'int8': use"),
    ({"compile": 1.5}, "compile 1.5: use false or true"),
    ({"accumulate": 0}, "accumulate 0: use"),
    ({"network": {"wings": 2}}, "network cannot be built: unknown config field 'wings'"),
    ({"network": 3}, "network 3: use a table"),
    ({"preset": "huge"}, "preset 'huge': use official, paper, promptir, small or tiny"),
    ({"steps": "many"}, "steps 'many': use a whole number from 1 up"),
    ({"steps": 0}, "steps 0: use a whole number from 1 up"),
    ({"steps": 1.5}, "steps"),
    ({"learning_rate": 0}, "learning_rate"),
    ({"learning_rate": float("nan")}, "learning_rate"),
    ({"ema": 1.5}, "ema"),
    ({"clip": -1}, "clip"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_wrong_entries_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        Recipe.from_dict(GOOD | values)
    assert "\n" not in str(caught.value)


DEEP = b"a = " + b"[" * 9999


@pytest.mark.parametrize("text", [b"steps = ", b"\xff\xfe", b"[sources]", DEEP])
def test_missing_and_damaged_files_are_named(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "r.toml"
    with pytest.raises(RecipeError, match="no such file; check the path"):
        Recipe.load(path)
    path.write_bytes(text)
    with pytest.raises(RecipeError, match="r.toml: "):
        Recipe.load(path)


@pytest.mark.parametrize(("name", "form"), [("r.toml", "TOML"), ("recipe.json", "JSON")])
def test_a_file_that_breaks_off_names_its_format(tmp_path: Path, name: str, form: str) -> None:
    (tmp_path / name).write_text("{")
    with pytest.raises(RecipeError, match=f"{name}: not {form}: "):
        Recipe.load(tmp_path / name)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(b"\x89PNG\xff")
    with pytest.raises(RecipeError, match="r.toml: not a text file, so not a recipe"):
        Recipe.load(path)


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("steps = 3", "utf-8-sig")
    assert Recipe.load(path).steps == 3


RATES = {
    "cosine": [0.5, 1, 1, 0.505, 0.01],
    "step": [0.5, 1, 1, 0.1, 0.01],
    "constant": [0.5, 1, 1, 1, 1],
}


@pytest.mark.parametrize("schedule", RATES)
def test_learning_rates_follow_the_schedule(schedule: Any) -> None:
    recipe = Recipe.from_dict(GOOD | {"schedule": schedule, "steps": 102, "warm_up": 2})
    factors = [recipe.rate_factor(step) for step in (0, 1, 2, 52, 102)]
    assert factors == pytest.approx(RATES[schedule])


def test_stages_follow_their_shares() -> None:
    first, second = Stage(0.8, 64, 12), Stage(0.2, 128, 4)
    sources = {"denoise": SourceRecipe(1.0)}
    recipe = Recipe(steps=11, sources=sources, stages=(first, second))
    assert [recipe.stage_at(step) for step in (0, 8)] == [(first, 9)] * 2
    assert [recipe.stage_at(step) for step in (9, 10)] == [(second, 11)] * 2


def test_changes_are_listed_by_entry() -> None:
    first, second = Stage(0.8, 64, 12), Stage(0.2, 128, 4)
    before = Recipe.from_dict(GOOD | {"stages": [vars(first), vars(second)]})
    now = Recipe.from_dict(
        {
            "sources": {"denoise": {"probability": 1, "zoom": 2}},
            "stages": [vars(first) | {"patch": 72}],
            "network": {"margin": 16},
            "noise": [25],
            "noise_range": [5, 55.5],
            "losses": ["mwb", "bro"],
            "compile": True,
        }
    )
    assert not before.changes(before)
    assert sorted(now.changes(before)) == [
        "compile false -> true",
        "losses [mwb, irc, bro] -> [mwb, bro]",
        "network.margin unset -> 16",
        "noise [15, 25, 50] -> [25]",
        "noise_range unset -> [5, 55.5]",
        "sources.denoise.zoom 1 -> 2",
        "stages.0.patch 64 -> 72",
        "stages.1.batch 4 -> unset",
        "stages.1.patch 128 -> unset",
        "stages.1.scene 0 -> unset",
        "stages.1.share 0.2 -> unset",
    ]
