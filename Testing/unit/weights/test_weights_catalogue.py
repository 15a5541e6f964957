"""The catalogue: what may be fetched, and what breaks its rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.weights.tiny_model import entry_of

from med2e3.errors import InputError, WeightsError
from med2e3.weights.catalogue import FileRule, find_entry, load_catalogue


def written(tmp_path: Path, **changes: Any) -> Path:
    """A catalogue of one model with one file; ``changes`` go to the file's rule or its source."""
    rule = {"path": "model.safetensors", "required": True}
    source = {"role": "model", "repo": "a/b", "revision": None, "files": [rule]}
    model = {
        "name": "m",
        "title": "t",
        "approximate_bytes": 1,
        "needs_conversion": False,
        "licence": {"name": "MIT", "parts": [], "text": ["x"]},
        "sources": [source],
    }
    for key, value in changes.items():
        for part in (rule, source, model):
            if key in part or (part is rule and key in ("size", "sha256")):
                part[key] = value
                break
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps({"schema_version": 1, "models": [model]}))
    return path


def test_catalogue_that_ships(shared_dir: Path) -> None:
    entry = find_entry("med2e3-m3d")
    assert [source.repo for source in entry.sources] == [
        "shiym2000/Med-2E3-M3D",
        "GoodBaiBai88/M3D-CLIP",
    ]
    text = " ".join(entry.licence.text)
    assert "non-commercial" in text
    assert {part.licence for part in entry.licence.parts} == {"Apache-2.0", "MIT"}
    checkpoint = shared_dir / "oracle" / "A" / "checkpoint"
    source = entry.source("checkpoint")
    allowed = {
        path
        for file in checkpoint.rglob("*")
        if file.is_file() and source.rule_for(path := file.relative_to(checkpoint).as_posix())
    }
    assert len([path for path in allowed if path.endswith(".bin")]) == 5
    assert "args/config.json" in allowed
    assert "tokenizer.model" in allowed
    # A real upload may also hold M3D-CLIP's program and the trainer's state.
    assert source.rule_for("vision3d_model/configuration_m3d_clip.py") is None
    assert source.rule_for("trainer_state.json") is None


@pytest.mark.parametrize(
    ("pattern", "path", "allowed"),
    [
        ("config.json", "config.json", True),
        ("config.json", "llm/config.json", False),
        ("llm/*.bin", "llm/pytorch_model.bin", True),
        ("llm/*.bin", "llm/deeper/pytorch_model.bin", False),
        ("*/*.bin", "llm/pytorch_model.bin", True),
        ("*/*.bin", "../pytorch_model.bin", False),
        ("*/*.bin", "C:/x.bin", False),
        ("*.bin", "/x.bin", False),
        ("*.bin", "a\\b.bin", False),
        ("*.p?", "a.py", False),
        ("*.p?", "a.pt", True),
        ("*.p?", "a.PY", False),
    ],
)
def test_rules_allow_no_code_and_nothing_outside(pattern: str, path: str, allowed: bool) -> None:
    source = entry_of(FileRule(pattern, True)).sources[0]
    assert (source.rule_for(path) is not None) == allowed


def test_good_catalogue_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, revision="a" * 40, size=3, sha256="b" * 64)
    (source,) = load_catalogue(path)["m"].sources
    assert source.revision == "a" * 40
    assert source.files == (FileRule("model.safetensors", True, 3, "b" * 64),)


@pytest.mark.parametrize(
    "change",
    [
        {"revision": "main"},
        {"revision": "A" * 40},
        {"sha256": "b" * 63},
        {"path": "*.safetensors", "size": 3},
        {"path": "code.py"},
        {"path": "Makefile"},
        {"path": "x.*"},
        {"path": "../x.json"},
        {"path": "/x.json"},
        {"name": "../escape"},
        {"name": "Upper Case"},
        {"role": "checkpoint"},
        {"needs_conversion": True},
        {"licence": {}},
    ],
)
def test_broken_catalogue_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="catalogue"):
        load_catalogue(written(tmp_path, **change))


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="med2e3-m3d"):
        find_entry("gpt")
