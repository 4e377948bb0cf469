"""No part of the product lets a file run code when it is read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("baryir_cli", "models", "train", "scripts")
UNPICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
RUNNERS = {"load", "loads", "open", "Unpickler"}
TORCH_LOADERS = {"torch.load", "torch.serialization.load"}


def dangers(source: str) -> list[str]:
    """Lines of a module that could run code from the files they read.

    These are ``torch.load`` without a literal ``weights_only=True`` or passed on uncalled, the
    loaders of pickle and similar modules, any ``import *``, ``numpy.load(allow_pickle=...)``,
    ``torch.hub``, ``eval`` and ``exec``. A subclass of ``pickle.Unpickler`` with its own
    ``find_class`` is allowed: restricted readers are made so.
    """
    tree = ast.parse(source)
    origins = _imports(tree)
    bases = {
        id(base)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and _has_find_class(node)
        for base in node.bases
    }
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            found.append(f"{node.lineno}: everything of {node.module}")
        if id(node) not in called and (name := _dotted(node, origins)) in TORCH_LOADERS:
            found.append(f"{node.lineno}: {name} uncalled")
        if isinstance(node, (ast.Name, ast.Attribute)) and id(node) not in bases:
            module, _, name = _dotted(node, origins).rpartition(".")
            if module in UNPICKLERS and name in RUNNERS:
                found.append(f"{node.lineno}: {module}.{name}")
        if isinstance(node, ast.Call) and (why := _dangerous_call(node, origins)):
            found.append(f"{node.lineno}: {why}")
    return found


def _imports(tree: ast.Module) -> dict[str, str]:
    """What the names in a module stand for: ``{"np": "numpy", "load": "torch.load"}``."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name.split(".")[0]: a.asname and a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return {name: origin or name for name, origin in names.items()}


def _dotted(node: ast.AST, origins: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return origins.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, origins)}.{node.attr}"
    return ""


def _has_find_class(node: ast.ClassDef) -> bool:
    return any(isinstance(n, ast.FunctionDef) and n.name == "find_class" for n in node.body)


def _dangerous_call(node: ast.Call, origins: dict[str, str]) -> str | None:
    name = _dotted(node.func, origins)
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    if name in TORCH_LOADERS:
        only = given.get("weights_only")
        if not (isinstance(only, ast.Constant) and only.value is True):
            return f"{name} without weights_only=True"
    pickles = given.get("allow_pickle", ast.Constant(False))
    if name == "numpy.load" and not (isinstance(pickles, ast.Constant) and pickles.value is False):
        return "numpy.load with allow_pickle"
    if name in ("eval", "exec") or name.startswith("torch.hub."):
        return name
    return None


def modules() -> list[Path]:
    return sorted(path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nothing_is_unpickled(path: Path) -> None:
    assert dangers(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(p)",
        "import torch\ntorch.load(p, weights_only=False)",
        "import torch\ntorch.load(p, weights_only=flag)",
        "import torch as t\nt.load(p, **options)",
        "from torch import load as read\nread(p)",
        "from torch.serialization import load\nload(p)",
        "import pickle\npickle.load(f)",
        "import pickle as p\np.loads(b)",
        "from pickle import Unpickler\nUnpickler(f).load()",
        "import pickle\nread = pickle.load\nread(f)",
        "import pickle\nclass Open(pickle.Unpickler):\n    pass",
        "import joblib\njoblib.load(p)",
        "from pickle import *\nload(f)",
        "import torch\nread = torch.load\nread(p)",
        "import functools, torch\nread = functools.partial(torch.load, weights_only=False)",
        "import numpy as np\nnp.load(p, allow_pickle=True)",
        "import torch\ntorch.hub.load(r, m)",
        "eval(text)",
    ],
)
def test_the_check_finds_dangerous_code(source: str) -> None:
    assert dangers(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(p, map_location='cpu', weights_only=True)",
        "import json\njson.load(f)",
        "import numpy as np\nnp.load(p)",
        "import numpy as np\nnp.load(p, allow_pickle=False)",
        "model.eval()",
        "import pickle\nclass Safe(pickle.Unpickler):\n    def find_class(self, m, n): ...",
    ],
)
def test_the_check_passes_harmless_code(source: str) -> None:
    assert dangers(source) == []
