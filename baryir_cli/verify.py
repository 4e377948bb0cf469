"""Whether some weights are what they should be, shown step by step."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from baryir_cli.errors import UsageError, UserError
from baryir_cli.references import WeightsFile, installed_sha256, load
from models.weights import Weights, load_network


def verify(file: WeightsFile, sha256: str | None = None) -> Iterator[tuple[str, str]]:
    """Names of checks and what was found, each as soon as it has passed.

    Args:
        sha256: what the whole file's hash must be; None where nobody said.

    Raises:
        UsageError: ``sha256`` is no whole hash.
        UserError: a check failed; the rest is not tried.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(f"--sha256 {sha256}: a whole hash is 64 hexadecimal digits")
    weights = load(file)
    yield "hash", f"SHA-256 {weights.sha256}, {_check_hash(file, weights, sha256)}"
    tensors = f"{len(weights.state)} tensors, {weights.parameters:,} parameters"
    yield "header", f"{tensors}, as config says"
    yield "values", "finite"
    yield "forward", _forward(weights, file)


def _check_hash(file: WeightsFile, weights: Weights, sha256: str | None) -> str:
    """Who says that the hash is right."""
    installed = installed_sha256(file.path) if file.origin == "embedded" else None
    expected = (sha256 or installed or weights.sha256).lower()
    if weights.sha256 != expected:
        whose = "" if sha256 else " as it was installed; install baryir again"
        raise UserError(f"{file.path}: its SHA-256 is {weights.sha256}, not {expected}{whose}")
    if sha256 is not None:
        return "as asked for"
    if file.etag:
        return "as the Hub has it"
    return "as installed" if installed else "nothing to hold it against (--sha256 gives it one)"


def _forward(weights: Weights, file: WeightsFile) -> str:
    """Restores noise, of the smallest size that makes every level work on several pixels."""
    height, width = 4 * weights.config.multiple, 6 * weights.config.multiple
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        correction = load_network(weights)(image).correction
    if not correction.isfinite().all():
        raise UserError(f"{file.path}: the network's answer to noise is NaN or infinite")
    return f"{height} x {width} pixels, largest correction {correction.abs().max():.3f}"
