"""Checks weights step by step."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from baryir_cli.errors import UsageError, UserError
from baryir_cli.weights.references import WeightsFile, installed_sha256, load
from models.weights import Weights, load_network


def verify(file: WeightsFile, sha256: str | None = None) -> Iterator[tuple[str, str]]:
    """Yields each check and its finding as soon as it has passed.

    Args:
        sha256: expected hash of the file; None if not given.

    Raises:
        UsageError: ``sha256`` is not a complete hash.
        UserError: a check failed; the others are not run.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(f"--sha256 {sha256}: a hash has 64 hexadecimal digits")
    weights = load(file)
    yield "hash", f"SHA-256 {weights.sha256}, {_check_hash(file, weights, sha256)}"
    tensors = f"{len(weights.state)} tensors, {weights.parameters:,} parameters"
    yield "header", f"{tensors}, as config says"
    yield "values", "finite"
    yield "forward", _forward(weights, file)


def _check_hash(file: WeightsFile, weights: Weights, sha256: str | None) -> str:
    """Compares the hash, and says with what."""
    installed = installed_sha256(file.path) if file.origin == "embedded" else None
    expected = (sha256 or installed or weights.sha256).lower()
    if weights.sha256 != expected:
        advice = "" if sha256 else " as installed; install baryir again"
        raise UserError(f"{file.path}: its SHA-256 is {weights.sha256}, not {expected}{advice}")
    if sha256 is not None:
        return "as given"
    if file.etag:
        return "as on the Hub"
    return "as installed" if installed else "nothing to compare with (use --sha256)"


def _forward(weights: Weights, file: WeightsFile) -> str:
    """Restores noise of the smallest size that gives every level several pixels."""
    height, width = 4 * weights.config.multiple, 6 * weights.config.multiple
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        correction = load_network(weights)(image).correction
    if not correction.isfinite().all():
        raise UserError(f"{file.path}: the network turns noise into NaN or infinity")
    return f"{height} x {width} pixels, largest correction {correction.abs().max():.3f}"
