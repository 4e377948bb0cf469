"""``baryir weights convert`` from the command line."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import safetensors.torch
import torch
from PIL import Image

from models.presets import preset
from models.weights import load_network, read_weights
from tests.baryir_cli.helpers import ROOT, failing
from tests.conftest import Run
from tests.models.checkpoints import (
    SMALL,
    archive,
    authors_state,
    model_bary,
    module_of,
    our_state,
    saved,
)

OFFICIAL = ROOT.parent / "shared" / "official"
Said = pytest.CaptureFixture


@pytest.fixture
def convert(baryir: Run) -> Run:
    def call(*arguments: object) -> int:
        return baryir("weights", "convert", *arguments)

    return call


@pytest.fixture
def authors(tmp_path: Path) -> Path:
    """A small version of the authors' file."""
    path = tmp_path / "model.pt"
    with model_bary() as kinds:
        network = module_of(authors_state(our_state()), kinds, "BaryNet")
        critics = module_of({"potentials.0.3.weight": torch.ones(2, 3)}, kinds, "Potentials")
        path.write_bytes(saved({"epoch": 57, "BaryIR": network, "Pots": critics}))
    return path


def lines(said: Said) -> list[str]:
    captured = said.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_the_state_of_a_run_points_to_the_weights_beside_it(
    convert: Run, tmp_path: Path, capsys: Said
) -> None:
    state, target = tmp_path / "state.pt", tmp_path / "out.safetensors"
    state.write_bytes(saved({"potentials": {"0.weight": torch.ones(2, 3)}}))
    assert convert(state, target) == 1
    (said,) = lines(capsys)
    assert "no BaryIR network" in said
    assert "safetensors" not in said
    average, network = (tmp_path / f"{name}.safetensors" for name in ("average", "network"))
    network.touch()
    assert convert(state, target) == 1
    assert lines(capsys)[0].endswith(f"; the weights of this checkpoint are in {network}")
    average.touch()
    assert convert(state, target) == 1
    assert lines(capsys)[0].endswith(f" are in {average} or {network}")
    other = state.rename(tmp_path / "other.pt")
    assert convert(other, target) == 1
    assert lines(capsys)[0] == said.replace("state.pt", "other.pt")


def test_the_authors_file_is_converted(
    convert: Run, authors: Path, tmp_path: Path, capsys: Said
) -> None:
    target = tmp_path / "new" / "official.safetensors"
    assert convert(authors, target) == 0
    kept = len(our_state())
    said = lines(capsys)
    numbers = sum(t.numel() for t in our_state().values())
    assert said[0] == (
        "network  official decoder, transformer blocks, width 8, blocks 1 2 1 2, heads 1 2 4 4"
    )
    assert said[1] == f"kept     {kept} tensors of BaryIR; the network has {numbers:,} parameters"
    assert said[2].startswith("dropped  chnl_reduce1, chnl_reduce2, chnl_reduce3, reduce_noise")
    assert said[3] == "dropped  Pots (1 tensor): not part of the network"
    assert re.fullmatch(rf"wrote    {re.escape(str(target))} \(\d\.\d MB, fp32\)", said[4])
    assert said[5].startswith("licence  not stated")
    assert len(said) == 6
    found = read_weights(target)
    assert found.config == SMALL
    assert all(torch.equal(found.state[name], t) for name, t in our_state().items())
    converted = found.provenance.pop("converted")
    assert found.provenance == {
        "name": "official",
        "epoch": 57,
        "date": date.today().isoformat(),
    }
    assert converted["file"] == "model.pt"
    assert re.fullmatch("[0-9a-f]{64}", converted["sha256"])
    assert list(target.parent.iterdir()) == [target]


def test_dtype_name_and_licence_are_stored(
    convert: Run, authors: Path, tmp_path: Path, capsys: Said
) -> None:
    target = tmp_path / "x.safetensors"
    options = ("--dtype", "fp16", "--name", "official", "--licence", "their own")
    assert convert(authors, target, *options) == 0
    assert not any(line.startswith("licence") for line in lines(capsys))
    found = read_weights(target)
    assert {tensor.dtype for tensor in found.state.values()} == {torch.float16}
    assert (found.provenance["name"], found.provenance["licence"]) == ("official", "their own")
    assert load_network(found)(torch.rand(1, 3, 16, 16)).correction.shape == (1, 3, 16, 16)


def test_converted_weights_restore_like_the_original(
    convert: Run, baryir: Run, tiny_weights: Path, tmp_path: Path
) -> None:
    state = read_weights(tiny_weights).state
    (tmp_path / "net.pth").write_bytes(saved({"params": state}))
    target = tmp_path / "net.safetensors"
    assert convert(tmp_path / "net.pth", target) == 0
    image, out = ROOT / "examples" / "noise-cat.png", [tmp_path / "a.png", tmp_path / "b.png"]
    for weights, path in zip((tiny_weights, target), out, strict=True):
        assert baryir("restore", image, path, "--weights", weights, "--device", "cpu") == 0
    assert out[0].read_bytes() == out[1].read_bytes()


def test_safetensors_are_converted(convert: Run, tiny_weights: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "half.safetensors", tmp_path / "theirs.safetensors"
    assert convert(tiny_weights, first, "--dtype", "fp16") == 0
    assert read_weights(first).provenance["name"] == "tiny"
    assert convert(tiny_weights, first, "--name", "other", "--overwrite") == 0
    assert read_weights(first).provenance["name"] == "other"
    safetensors.torch.save_file(our_state(), second)
    assert convert(second, tmp_path / "ours.safetensors") == 0
    assert read_weights(tmp_path / "ours.safetensors").config == SMALL


@pytest.mark.parametrize("lacking", ["stage.norm.bias", "stage.norm.weight"])
def test_partial_fills_in_what_is_missing_and_warns(
    convert: Run, tmp_path: Path, capsys: Said, lacking: str
) -> None:
    state = our_state()
    del state[lacking]
    state["evil\x1b[2J"] = torch.ones(1)
    source, target = tmp_path / "x.pt", tmp_path / "x.safetensors"
    source.write_bytes(saved(state))
    assert convert(source, target) == 1
    assert "--partial" in lines(capsys)[-1]
    assert not target.exists()
    assert convert(source, target, "--partial") == 0
    said = lines(capsys)
    assert f"missing  {lacking}: initialised afresh" in said
    assert "dropped  evil\\x1b[2J: unknown" in said
    assert any(line.startswith("caution  ") for line in said)
    converted = read_weights(target).provenance["converted"]
    assert (converted["missing"], converted["unknown"]) == (1, 1)


def test_every_use_of_an_incomplete_network_warns(
    convert: Run, baryir: Run, tmp_path: Path, capsys: Said
) -> None:
    state = our_state()
    del state["stage.norm.bias"]
    source, part, half = (tmp_path / name for name in ("x.pt", "x.safetensors", "h.safetensors"))
    source.write_bytes(saved(state))
    assert convert(source, part, "--partial") == 0
    assert convert(part, half, "--dtype", "fp16") == 0
    image = tmp_path / "image.png"
    Image.new("RGB", (16, 16)).save(image)
    for command in (
        ("restore", image, tmp_path / "out.png", "--weights", half, "--device", "cpu"),
        ("weights", "verify", half),
        ("weights", "info", half),
        ("weights", "push", half, "me/my-net", "--dry-run"),
    ):
        capsys.readouterr()
        assert baryir(*command) == 0
        shown = " ".join(" ".join(capsys.readouterr()).split())
        assert "an incomplete network (tensors: 1 missing): only a start for training" in shown


def test_several_networks_need_a_choice(convert: Run, tmp_path: Path, capsys: Said) -> None:
    other = {name: torch.zeros_like(t) for name, t in our_state().items()}
    source, target = tmp_path / "x.pt", tmp_path / "x.safetensors"
    source.write_bytes(saved({"first": our_state(), "second": other}))
    assert convert(source, target) == 1
    assert "several networks (first, second): name one with --entry" in lines(capsys)[-1]
    assert convert(source, target, "--entry", "second") == 0
    assert "dropped  first" in "\n".join(lines(capsys))
    assert not any(t.any() for t in read_weights(target).state.values())


def test_wrong_usage_is_refused(convert: Run, authors: Path, tmp_path: Path, capsys: Said) -> None:
    there = tmp_path / "there.safetensors"
    there.write_bytes(b"precious")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "same.safetensors").hardlink_to(there)
    cases = [
        ((authors, tmp_path / "x.pt"), "must end in .safetensors"),
        ((authors, tmp_path / "folder.safetensors"), "is a folder"),
        ((tmp_path / "none.pt", tmp_path / "x.safetensors"), "no such file"),
        ((tmp_path, tmp_path / "x.safetensors"), ": a folder, not a file"),
        ((authors, there), "exists already; --overwrite"),
        ((authors, tmp_path / "new" / ".." / there.name), "exists already; --overwrite"),
        ((there, tmp_path / "same.safetensors", "--overwrite"), "would replace the input"),
        ((authors, tmp_path / "x.safetensors", "--dtype", "int8"), "--dtype"),
        ((authors,), "OUT"),
    ]
    for arguments, message in cases:
        assert convert(*arguments) == 2
        assert message in capsys.readouterr().err
    assert there.read_bytes() == b"precious"
    assert convert(authors, there, "--overwrite") == 0
    assert read_weights(there).config == SMALL


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(
    convert: Run, tmp_path: Path, capsys: Said
) -> None:
    broken, protected = tmp_path / "broken.pt", tmp_path / "protected.safetensors"
    broken.write_bytes(b"no checkpoint")
    protected.write_bytes(b"precious")
    protected.chmod(0o444)
    for target, message in (
        (protected, f"{protected} is write-protected; make it writable, or choose another file"),
        (broken / "x.safetensors", f"cannot create {broken}: File exists; choose another folder"),
    ):
        assert convert(broken, target, "--overwrite") == 1
        assert lines(capsys) == [f"baryir: {message}"]
    assert protected.read_bytes() == b"precious"


def test_a_malicious_file_runs_nothing(convert: Run, tmp_path: Path, capsys: Said) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {tmp_path / 'canary'}",)

    source, target = tmp_path / "x.pt", tmp_path / "x.safetensors"
    source.write_bytes(saved({"BaryIR": Evil()}))
    assert convert(source, target) == 1
    (said,) = lines(capsys)
    assert said == (
        f"baryir: {source}: the pickle names {os.system.__module__}.system, "
        "which weights do not need: refused, nothing was run; save the state dict alone"
    )
    assert list(tmp_path.iterdir()) == [source]


def test_values_beyond_half_precision_are_refused(
    convert: Run, tmp_path: Path, capsys: Said
) -> None:
    state = {**our_state(), "stage.norm.bias": torch.full((64,), 1e6)}
    source, target = tmp_path / "x.pt", tmp_path / "x.safetensors"
    source.write_bytes(saved(state))
    assert convert(source, target, "--dtype", "fp16") == 1
    assert ".pt: stage.norm.bias holds NaN or infinite values as float16" in lines(capsys)[-1]
    assert not target.exists()


def test_a_full_disk_leaves_nothing(
    convert: Run, authors: Path, tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", failing(errno.ENOSPC))
    assert convert(authors, target := tmp_path / "x.safetensors") == 1
    assert lines(capsys)[-1] == f"baryir: {target}: No space left on device"
    assert list(tmp_path.iterdir()) == [authors]


def test_a_file_without_a_network_is_one_line(convert: Run, tmp_path: Path, capsys: Said) -> None:
    source = archive(tmp_path / "x.pt", b"\x80\x02}.")
    assert convert(source, tmp_path / "x.safetensors") == 1
    assert len(lines(capsys)) == 1


@pytest.mark.slow
@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="needs ../shared/official/make_checkpoint.py")
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is Linux's")
def test_the_full_size_converts_with_parity_and_bounded_memory(tmp_path: Path) -> None:
    """In memory, at most three times the size of the file."""
    source, target = tmp_path / "model.pt", tmp_path / "official.safetensors"
    maker = [sys.executable, str(OFFICIAL / "make_checkpoint.py"), str(source), "--salt", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(maker, check=True, env=environment, timeout=600)
    script = (
        "import json, sys; from baryir_cli.app import run; from tests.peak import peak_memory\n"
        f"sys.argv = ['baryir', 'weights', 'convert', {str(source)!r}, {str(target)!r}]\n"
        "code = run()\n"
        "print(json.dumps([code, peak_memory()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    code, peak = json.loads(done.stdout)
    assert code == 0
    assert peak < 3 * source.stat().st_size
    found = read_weights(target)
    assert found.config == preset("official")
    fixture = safetensors.torch.load_file(OFFICIAL / "parity_48x96.safetensors")
    image = fixture["input"].float()
    with torch.inference_mode():
        correction, latents, _ = load_network(found)(image)
    bounds = {
        "restored": (image + correction, 5e-4),
        "source_latent": (latents.source, 1e-4),
        "barycenter_latent": (latents.barycenter, 1e-4),
        "residual_latent": (latents.residual, 1e-4),
    }
    for name, (value, bound) in bounds.items():
        assert (value - fixture[name]).abs().max().item() < bound, name
