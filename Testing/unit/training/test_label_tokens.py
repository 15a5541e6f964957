"""A language model reads tokens written from label maps, and connectors learn to write them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fixtures.miniature import stage, write_recipe
from fixtures.random_model import small_config
from med2e3.data import VolumeStore
from med2e3.errors import InputError
from med2e3.model import Med2E3ForConditionalGeneration
from med2e3.training.dense import DensePretraining
from med2e3.training.dense_targets import UNKNOWN, one_hot, presence
from med2e3.training.label_tokens import FILE, LabelTokens, _some_scores
from med2e3.training.recipe import load_recipe
from med2e3.training.run import train

PLAIN = {"augmentation": "none"}
CONNECTED = ["vision_2d", "vision_3d", "connector_2d", "connector_3d"]


@pytest.fixture
def model() -> Med2E3ForConditionalGeneration:
    torch.manual_seed(0)
    return Med2E3ForConditionalGeneration(small_config(50, 50))


@pytest.fixture
def tokens(model: Med2E3ForConditionalGeneration) -> LabelTokens:
    return LabelTokens(model.config, 3, 2)


def test_a_label_changes_the_tokens_of_its_place_and_no_other(
    model: Med2E3ForConditionalGeneration, tokens: LabelTokens
) -> None:
    """Slice 9, upper left corner: one 2D token, and the 3D token whose patches hold it."""
    label_map = torch.zeros(1, 32, 64, 64, dtype=torch.uint8)
    values = one_hot(torch.tensor([[0]]), [2])
    before = tokens.read(label_map, values)
    label_map[0, 9, :8, :8] = 2
    after = tokens.read(label_map, values)
    config = model.config
    assert before[0].shape[1] == config.num_image_tokens - before[1].shape[2]
    assert before[1].shape[1] == config.num_slices
    flat = (before[1] != after[1]).any(dim=-1)
    assert flat.nonzero()[:, :3].tolist() == [[0, 9, 0]]
    deep = (before[0] != after[0]).any(dim=-1).nonzero()[:, 1].tolist()
    rows, columns = (
        cells // pooled
        for cells, pooled in zip(config.vision_3d.grid[1:], config.pool_size[1:], strict=True)
    )
    assert deep == [9 * config.num_slabs // config.num_slices * rows * columns]


def test_what_is_known_of_the_volume_is_in_every_token(tokens: LabelTokens) -> None:
    label_map = torch.zeros(2, 32, 64, 64, dtype=torch.uint8)
    for kind in tokens.read(label_map, one_hot(torch.tensor([[0], [1]]), [2])):
        assert (kind[0] != kind[1]).any(dim=-1).all()
    for kind in tokens.read(label_map, one_hot(torch.tensor([[-100], [-100]]), [2])):
        assert torch.equal(kind[0], kind[1])


def test_scores_lie_on_the_slices_that_matter_or_on_some_run_of_them() -> None:
    torch.manual_seed(0)
    relevant = torch.zeros(200, 32)
    relevant[:100, 5:9] = 1 / 4
    scores = _some_scores(relevant)
    torch.testing.assert_close(scores.sum(dim=-1), torch.ones(200))
    assert (scores[:100, 5:9].sum(dim=-1) > 0.5).all()
    assert len({int(row.argmax()) for row in scores[100:]}) > 15
    high = scores[100:] > scores[100:].min(dim=-1, keepdim=True).values + 1e-6
    assert high.sum(dim=-1).min() >= 2
    assert high.sum(dim=-1).max() <= 8


def test_connectors_that_write_the_tokens_have_no_distance_left(
    model: Med2E3ForConditionalGeneration, tokens: LabelTokens
) -> None:
    weights = torch.tensor([1.0, 1.0, 9.0])
    dense = DensePretraining(model, 3, {"a": "xy"}, weights, None, CONNECTED, tokens)
    label_map = torch.zeros(1, 32, 64, 64, dtype=torch.uint8)
    label_map[0, 9, :8, :8] = 2
    cells = tokens.cells_2d
    share, _ = presence(label_map, cells, 3)
    values = one_hot(torch.tensor([[1]]), [2])
    wanted = tokens("2d", share, values)
    assert dense._distance("vision_2d", wanted, share, values, cells) == 0
    # one wrong token costs as much as its weight says
    wrong = wanted.clone()
    wrong[0, 0] += 1
    finding = wanted.clone()
    finding[0, 9 * cells[1] * cells[2]] += 1
    plain, nine = (
        dense._distance("vision_2d", t, share, values, cells).item() for t in (wrong, finding)
    )
    assert nine == pytest.approx(9 * plain, rel=1e-4)
    assert not any(p.requires_grad for p in tokens.parameters())


def test_what_no_one_knows_is_taken_as_the_heads_see_it(
    model: Med2E3ForConditionalGeneration, tokens: LabelTokens
) -> None:
    dense = DensePretraining(model, 3, {"a": "xy", "b": "uvw"}, torch.ones(3), None, CONNECTED)
    parts = [torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.zeros(2, 3)]
    values = dense._values(parts, torch.tensor([[1, -100], [-100, 2]]))
    third = 1 / 3
    sure = 1 / (1 + math.exp(-1))
    torch.testing.assert_close(
        values,
        torch.tensor([[0, 1, third, third, third], [sure, 1 - sure, 0, 0, 1]]),
    )


def test_unknown_voxels_leave_the_loss_finite(
    model: Med2E3ForConditionalGeneration, tokens: LabelTokens
) -> None:
    dense = DensePretraining(model, 3, {"a": "xy"}, torch.ones(3), 4, CONNECTED, tokens)
    label_map = torch.full((2, 32, 64, 64), UNKNOWN, dtype=torch.uint8)
    output = dense(torch.rand(2, 1, 32, 64, 64), label_map, torch.tensor([[-100], [-100]]))
    assert output.token_loss > 0
    output.loss.backward()
    gradient = model.connector_2d.linear_1.weight.grad
    assert gradient is not None
    assert gradient.isfinite().all()


def _recipe(path: Path) -> str:
    return write_recipe(
        path,
        stage(
            "language", name="labels", epochs=20, batch=4, rate=3e-3, reads="labels",
            attributes=["level"], data=PLAIN | {"questions_per_volume": 3},
        ),
        stage(
            "dense", name="tokens", epochs=10, batch=4, rate=4e-3, label_tokens=True,
            train=CONNECTED, attributes=["level"], finding_weights={"square": 6}, data=PLAIN,
        ),
    )  # fmt: skip


def test_the_language_model_reads_labels_and_the_connectors_write_them(
    tmp_path: Path, tiny_store: VolumeStore
) -> None:
    """The tokens lie beside the model until the next stage has learned them, and no longer."""
    run = tmp_path / "run"
    train(load_recipe(_recipe(tmp_path / "r.yaml")), run, data=tiny_store.root, say=str)
    read, written = run / "1-labels", run / "2-tokens"
    assert (read / "model" / FILE).is_file()
    assert not (written / "model" / FILE).exists()
    weights = [load_file(run / f / "model.safetensors") for f in ("0-start", "1-labels/model")]
    moved = {
        n.partition(".")[0] for n in weights[0] if not torch.equal(weights[0][n], weights[1][n])
    }
    assert moved == {"language_model"}
    # a language model whose tokens tell nothing learns what is usual, and stays at 0.07
    for folder, figure, share in ((read, "answer_loss", 0.03), (written, "loss", 0.7)):
        history = json.loads((folder / "history.json").read_text("utf-8"))
        values = [entry[figure] for entry in history if figure in entry]
        assert values[-1] < share * values[0], (folder.name, values)


def test_without_tokens_to_write_the_stage_before_is_named(
    tmp_path: Path, tiny_store: VolumeStore
) -> None:
    path = write_recipe(
        tmp_path / "r.yaml",
        stage(
            "dense", epochs=1, batch=4, rate=1e-3, label_tokens=True, train=CONNECTED,
            attributes=["level"], data=PLAIN,
        ),
    )  # fmt: skip
    with pytest.raises(InputError) as error:
        train(load_recipe(path), tmp_path / "run", data=tiny_store.root, say=str)
    assert "reads: labels" in error.value.hint
