"""Rules that every module under Logic obeys: safe loading, layers, and a bearable length."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

LOGIC = Path(__file__).resolve().parents[3] / "Med2E3Slicer" / "Logic"
SOURCES = sorted(LOGIC.rglob("*.py"))
LONGEST_MODULE = 400
PICKLE_MODULES = {"pickle", "_pickle", "dill", "joblib", "cloudpickle", "shelve"}
#: what may be named of pickle: the error that torch raises when it refuses a file
PICKLE_ERRORS = {"PickleError", "UnpicklingError"}
SLICER_MODULES = {"qt", "ctk", "slicer", "vtk", "mrml"}


def imported_names(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, name) of each import; the name is empty for ``import module``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((node.module, alias.name) for alias in node.names)


def is_constant(node: ast.expr | None, value: object) -> bool:
    """Whether an expression is written as exactly this constant."""
    return isinstance(node, ast.Constant) and node.value is value


def unsafe_loading(source: str) -> list[str]:
    """What in a module could run code from a file: pickles and remote code."""
    tree = ast.parse(source)
    found = [
        f"from {module} import {name}"
        for module, name in imported_names(tree)
        if module in PICKLE_MODULES and name and name not in PICKLE_ERRORS
    ]
    found += [
        f"import {module}"
        for module, name in imported_names(tree)
        if module in PICKLE_MODULES - {"pickle"} and not name
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "pickle" and node.attr not in PICKLE_ERRORS:
                found.append(f"pickle.{node.attr}")
        elif isinstance(node, ast.Dict):
            entries = zip(node.keys, node.values, strict=True)
            found += [
                "trust_remote_code in a dictionary"
                for key, value in entries
                if isinstance(key, ast.Constant)
                and key.value == "trust_remote_code"
                and not is_constant(value, False)
            ]
        if isinstance(node, ast.Call):
            found += unsafe_call(node)
    return found


def unsafe_call(call: ast.Call) -> list[str]:
    """What is unsafe about one call; empty when nothing is."""
    words = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    found = []
    if ast.unparse(call.func) in {"torch.load", "load"} and not is_constant(
        words.get("weights_only"), True
    ):
        found.append("torch.load without weights_only=True")
    for word in ("trust_remote_code", "allow_pickle"):
        if word in words and not is_constant(words[word], False):
            found.append(f"{word} that is not False")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "from torch import load\nload(path)",
        "import pickle\npickle.load(file)",
        "from pickle import loads",
        "import joblib",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=trust)",
        "options = {'trust_remote_code': True}",
    ],
)
def test_unsafe_loading_is_recognised(source: str) -> None:
    assert unsafe_loading(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(path, map_location='cpu', weights_only=True)",
        "import pickle\ntry:\n    pass\nexcept pickle.UnpicklingError:\n    pass",
        "from pickle import UnpicklingError",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "AutoModel.from_pretrained(name, trust_remote_code=False)",
        "import json\njson.load(file)",
    ],
)
def test_safe_loading_is_not_accused(source: str) -> None:
    assert unsafe_loading(source) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(LOGIC).as_posix())
def test_module_obeys_the_rules(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert len(source.splitlines()) <= LONGEST_MODULE
    assert unsafe_loading(source) == []
    assert ast.get_docstring(tree), "a module opens by saying what it knows"
    imported = {module.partition(".")[0] for module, _ in imported_names(tree)}
    package = path.relative_to(LOGIC).parts[0]
    if package == "med2e3":
        assert imported.isdisjoint(SLICER_MODULES | {"med2e3_slicer"})
    else:
        assert imported.isdisjoint({"torch", "transformers", "pydantic"})


def test_logic_is_not_a_package() -> None:
    assert not (LOGIC / "__init__.py").exists()
