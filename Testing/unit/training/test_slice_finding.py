"""Slices' vectors that tell which slices hold a label."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from fixtures.miniature import stage, write_recipe
from fixtures.random_model import small_config
from med2e3.data import VolumeStore
from med2e3.errors import InputError
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration
from med2e3.model.tgis import TextGuidedInterSlice
from med2e3.training.dense import DensePretraining
from med2e3.training.recipe import load_recipe
from med2e3.training.run import train
from med2e3.training.slice_finding import SliceFinding
from med2e3.training.stages import _dense

CONNECTED = ["vision_2d", "vision_3d", "connector_2d", "connector_3d"]
PATCHES = 5


@pytest.fixture(scope="module")
def config() -> Med2E3Config:
    return small_config(50, 50)


def _tokens(config: Med2E3Config, slices: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = config.language.hidden_size
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(1, config.num_slabs * 4, width, generator=generator),
        torch.randn(1, slices, PATCHES, width, generator=generator),
    )


def _plain_tgis(config: Med2E3Config) -> TextGuidedInterSlice:
    """TG-IS that takes a question's vector as it is."""
    tgis = TextGuidedInterSlice(config)
    if hasattr(tgis, "question_projection"):
        tgis.question_projection = torch.nn.Identity()  # type: ignore[assignment]
    return tgis


def test_the_loss_is_the_divergence_of_the_scores_that_tgis_would_give(
    config: Med2E3Config,
) -> None:
    """Of two labels one is in slices 3 and 9; what TG-IS scores for its question is compared."""
    finding = SliceFinding(config, 3)
    tokens_3d, tokens_2d = _tokens(config, config.num_slices)
    present = torch.zeros(1, config.num_slices, PATCHES, 3)
    present[0, [3, 9], 1, 2] = 1
    every = torch.arange(config.num_slices).unsqueeze(0)
    tgis = _plain_tgis(config)
    scores = tgis.scores(tokens_3d, tokens_2d, finding.questions[1:2])[0]
    wanted = sum(0.5 * math.log(0.5 / scores[n].item()) for n in (3, 9))
    loss = finding(tokens_3d, tokens_2d, every, present, torch.ones_like(present), torch.ones(3))
    assert loss.item() == pytest.approx(wanted, rel=1e-4)


def test_chosen_slices_are_scored_among_themselves_with_their_own_slab(
    config: Med2E3Config,
) -> None:
    finding = SliceFinding(config, 2)
    tokens_3d, tokens_2d = _tokens(config, config.num_slices)
    chosen = torch.tensor([[2, 11, 30]])
    present = torch.zeros(1, 3, PATCHES, 2)
    present[0, 1, 0, 1] = 1
    known = torch.ones_like(present)
    loss = finding(tokens_3d, tokens_2d[:, chosen[0]], chosen, present, known, torch.ones(2))
    tgis = _plain_tgis(config)
    scores = tgis.scores(tokens_3d, tokens_2d, finding.questions)[0]
    wanted = -math.log((scores[11] / scores[chosen[0]].sum()).item())
    assert loss.item() == pytest.approx(wanted, rel=1e-4)


def test_labels_in_every_slice_in_none_or_perhaps_hidden_count_nothing(
    config: Med2E3Config,
) -> None:
    finding = SliceFinding(config, 5)
    tokens_3d, tokens_2d = _tokens(config, 6)
    chosen = torch.arange(6).unsqueeze(0)
    present = torch.zeros(1, 6, PATCHES, 5)
    known = torch.ones_like(present)
    present[..., 0] = 1  # background
    present[..., 1] = 1  # everywhere; label 2 is nowhere
    present[0, 2, 0, 3] = 1
    known[0, 4, 1, 3] = 0  # perhaps in slice 4, too
    nothing = finding(tokens_3d, tokens_2d, chosen, present, known, torch.ones(5))
    assert nothing.item() == 0
    present[0, 2, 0, 4] = 1
    alone = finding(tokens_3d, tokens_2d, chosen, present, known, torch.ones(5))
    assert alone.item() > 0


def test_weights_say_how_much_a_label_counts(config: Med2E3Config) -> None:
    finding = SliceFinding(config, 3)
    tokens_3d, tokens_2d = _tokens(config, 6)
    present = torch.zeros(1, 6, PATCHES, 3)
    present[0, 2, 0, 1] = present[0, 4, 0, 2] = 1

    def loss(*weights: float) -> float:
        known = torch.ones_like(present)
        chosen = torch.arange(6).unsqueeze(0)
        value = finding(tokens_3d, tokens_2d, chosen, present, known, torch.tensor(weights))
        return float(value.item())

    one, other = loss(1, 1, 0), loss(1, 0, 1)
    assert loss(1, 1, 3) == pytest.approx((one + 3 * other) / 4, rel=1e-4)


def test_encoders_and_connectors_learn_from_it() -> None:
    torch.manual_seed(0)
    model = Med2E3ForConditionalGeneration(small_config(50, 50))
    dense = DensePretraining(
        model, 3, {"a": "xy"}, torch.tensor([1.0, 1.0, 9.0]), 8, CONNECTED, slice_weight=1.0
    )
    label_map = torch.zeros(1, 32, 64, 64, dtype=torch.uint8)
    label_map[0, 9, 8:24, 8:24] = 2
    output = dense(torch.rand(1, 1, 32, 64, 64), label_map, torch.tensor([[0]]))
    assert output.slice_loss > 0
    output.slice_loss.backward()
    for part in CONNECTED:
        assert any(p.grad is not None and p.grad.any() for p in getattr(model, part).parameters())


def test_a_stage_learns_it(tmp_path: Path, tiny_store: VolumeStore) -> None:
    recipe = write_recipe(
        tmp_path / "r.yaml",
        stage(
            "dense", epochs=12, batch=4, rate=4e-3, train=CONNECTED, attributes=["level"],
            finding_weights={"square": 6}, always_marked=["square"], slice_weight=1.0,
            data={"augmentation": "none"},
        ),
    )  # fmt: skip
    train(load_recipe(recipe), tmp_path / "run", data=tiny_store.root, say=str)
    history = json.loads((tmp_path / "run/1-dense/history.json").read_text("utf-8"))
    values = [entry["slice_loss"] for entry in history if "slice_loss" in entry]
    assert values[-1] < 0.5 * values[0]


def test_a_stage_knows_the_labels_that_are_always_marked(
    tmp_path: Path, tiny_store: VolumeStore
) -> None:
    recipe = write_recipe(
        tmp_path / "r.yaml",
        stage(
            "dense", epochs=1, batch=4, rate=1e-3, attributes=["level"], always_marked=["square"]
        ),
    )
    model = Med2E3ForConditionalGeneration(small_config(50, 50))
    module = _dense(load_recipe(recipe).stages[0], model, tiny_store, tmp_path).module
    assert isinstance(module, DensePretraining)
    assert module.always_marked is not None
    marked = [name == "square" for name in tiny_store.description["labels"]]
    assert module.always_marked.tolist() == marked
    assert any(marked) and not all(marked)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"slice_weight": 1.0, "train": ["vision_2d", "connector_2d"]}, "both connectors"),
        ({"slice_weight": -1.0, "train": CONNECTED}, "below 0"),
        ({"always_marked": ["spleen"], "train": CONNECTED}, "spleen"),
    ],
)
def test_what_cannot_be_meant_is_told(
    fields: dict[str, object], told: str, tmp_path: Path, tiny_store: VolumeStore
) -> None:
    recipe = write_recipe(
        tmp_path / "r.yaml",
        stage("dense", epochs=1, batch=4, rate=1e-3, attributes=["level"], **fields),
    )
    with pytest.raises(InputError, match=told):
        train(load_recipe(recipe), tmp_path / "run", data=tiny_store.root, say=str)
