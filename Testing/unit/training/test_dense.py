"""Label maps as targets of patches."""

from __future__ import annotations

import math

import pytest
import torch

from fixtures.random_model import small_config
from med2e3.model import Med2E3ForConditionalGeneration
from med2e3.training.dense import DensePretraining
from med2e3.training.dense_targets import UNKNOWN, pooled_presence, presence


def test_a_label_is_present_where_it_fills_enough_of_a_patch() -> None:
    label_map = torch.zeros(1, 2, 8, 8, dtype=torch.uint8)
    label_map[0, 0, :4, 4:] = 2  # one whole patch of 4 x 4
    label_map[0, 1, 0, 0] = 1  # one voxel of sixteen: 6.25 %
    present, known = presence(label_map, (2, 2, 2), 3)
    assert present.shape == (1, 8, 3)
    assert present[0, 1].tolist() == [0, 0, 1]  # first slice, upper right patch
    assert present[0, 4].tolist() == [1, 1, 0]  # second slice, upper left patch
    assert known.all()


def test_voxels_of_which_nothing_is_known_hide_absence_but_not_presence() -> None:
    label_map = torch.full((1, 1, 4, 4), UNKNOWN, dtype=torch.uint8)
    label_map[0, 0, :2] = 1
    present, known = presence(label_map, (1, 1, 1), 3)
    assert present[0, 0].tolist() == [0, 1, 0]
    assert known[0, 0].tolist() == [0, 1, 0]
    always_marked = torch.tensor([False, False, True])
    present, known = presence(label_map, (1, 1, 1), 3, always_marked)
    assert present[0, 0].tolist() == [0, 1, 0]
    assert known[0, 0].tolist() == [0, 1, 1], "a lesion put in would be marked"


@pytest.fixture(scope="module")
def model() -> Med2E3ForConditionalGeneration:
    torch.manual_seed(0)
    return Med2E3ForConditionalGeneration(small_config(50, 50))


def test_heads_that_know_nothing_lose_a_bit_per_label_and_the_choice_per_attribute(
    model: Med2E3ForConditionalGeneration,
) -> None:
    """The mean is over patches and labels, taken once, so that neither loss drowns the other."""
    dense = DensePretraining(model, 3, {"plane": ["a", "b", "c"]}, torch.ones(3))
    for head in (*dense.patch_heads.values(), *dense.volume_heads.values()):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    generator = torch.Generator().manual_seed(0)
    label_map = torch.randint(0, 3, (2, 32, 64, 64), generator=generator).to(torch.uint8)
    output = dense(torch.rand(2, 1, 32, 64, 64), label_map, torch.tensor([[0], [-100]]))
    assert math.isclose(output.patch_loss.item(), math.log(2), rel_tol=1e-4)
    assert math.isclose(output.volume_loss.item(), math.log(3), rel_tol=1e-4)


def test_findings_weigh_more(model: Med2E3ForConditionalGeneration) -> None:
    label_map = torch.zeros(1, 32, 64, 64, dtype=torch.uint8)
    label_map[:, :8] = 2
    losses = []
    for weight in (1.0, 10.0):
        torch.manual_seed(1)
        weights = torch.tensor([1.0, 1.0, weight])
        dense = DensePretraining(model, 3, {}, weights)
        losses.append(dense(torch.zeros(1, 1, 32, 64, 64), label_map, torch.zeros(1, 0).long()))
    assert losses[1].patch_loss > 1.5 * losses[0].patch_loss
    assert losses[0].volume_loss == 0


def test_the_slice_encoder_sees_some_slices_and_all_findings_among_them(
    model: Med2E3ForConditionalGeneration,
) -> None:
    weights = torch.tensor([1.0, 1.0, 9.0])
    dense = DensePretraining(model, 3, {}, weights, slices=6)
    label_map = torch.zeros(2, 32, 64, 64, dtype=torch.uint8)
    label_map[0, [3, 17, 30], 8:24, 8:24] = 2
    label_map[:, :, 40:48, 40:48] = 1
    seen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        chosen = dense._choose_slices(label_map)
        assert chosen.shape == (2, 6)
        assert (chosen.diff(dim=1) > 0).all(), "in their order, none twice"
        assert {3, 17, 30} <= set(chosen[0].tolist())
        seen |= set(chosen[1].tolist())
    assert len(seen) > 20, "where nothing stands out, every slice has its turn"


def test_chosen_slices_go_with_their_own_labels(model: Med2E3ForConditionalGeneration) -> None:
    """With all slices chosen nothing is different from choosing none."""
    weights = torch.tensor([1.0, 1.0, 1.0])
    some = DensePretraining(model, 3, {}, weights, slices=32)
    every = DensePretraining(model, 3, {}, weights)
    every.load_state_dict(some.state_dict())
    generator = torch.Generator().manual_seed(0)
    label_map = torch.randint(0, 3, (2, 32, 64, 64), generator=generator).to(torch.uint8)
    pixels = torch.rand(2, 1, 32, 64, 64, generator=generator)
    none = torch.zeros(2, 0).long()
    torch.testing.assert_close(
        some(pixels, label_map, none).loss, every(pixels, label_map, none).loss
    )


def test_an_encoder_that_does_not_learn_is_not_run(model: Med2E3ForConditionalGeneration) -> None:
    dense = DensePretraining(model, 3, {}, torch.ones(3), train=["vision_3d"])
    learning = {name.split(".")[1] for name, _ in dense.named_parameters() if "encoders" in name}
    assert learning == {"vision_3d"}
    label_map = torch.zeros(1, 32, 64, 64, dtype=torch.uint8)
    output = dense(torch.zeros(1, 1, 32, 64, 64), label_map, torch.zeros(1, 0).long())
    output.loss.backward()
    assert model.vision_3d.patch_embedding.projection.weight.grad is not None
    assert all(parameter.grad is None for parameter in model.vision_2d.parameters())


def test_a_token_holds_what_one_of_its_patches_holds() -> None:
    present = torch.zeros(1, 8, 2)
    known = torch.ones(1, 8, 2)
    present[0, 1, 0] = 1  # label 0 in one patch of the first token
    known[0, 3, 0] = 0  # not known in another of its patches, and in one of the second token
    known[0, 6, 1] = 0
    there, sure = pooled_presence(present, known, (1, 2, 4), (1, 2, 2))
    # patches 0 1 4 5 make the first token, 2 3 6 7 the second
    assert there[0].tolist() == [[1, 0], [0, 0]]
    assert sure[0].tolist() == [[1, 1], [0, 0]]


def test_connectors_learn_what_the_language_model_is_to_read(
    model: Med2E3ForConditionalGeneration,
) -> None:
    parts = ("vision_2d", "vision_3d", "connector_2d", "connector_3d")
    dense = DensePretraining(model, 3, {"plane": ["a"]}, torch.ones(3), train=parts)
    label_map = torch.zeros(1, 32, 64, 64, dtype=torch.uint8)
    model.zero_grad()
    dense(torch.rand(1, 1, 32, 64, 64), label_map, torch.tensor([[0]])).loss.backward()
    for part in parts:
        assert any(p.grad is not None and p.grad.any() for p in getattr(model, part).parameters())
    alone = DensePretraining(model, 3, {"plane": ["a"]}, torch.ones(3))
    assert not alone.connectors


@pytest.mark.parametrize("encoder", ["vision_2d", "vision_3d"])
def test_tokens_get_the_size_that_the_language_model_expects(encoder: str) -> None:
    """Mean 0, variance 1 all together, each still what it was but for size and place."""
    torch.manual_seed(0)
    model = Med2E3ForConditionalGeneration(small_config(50, 50))
    connector = encoder.replace("vision", "connector")
    dense = DensePretraining(model, 3, {}, torch.ones(3), train=[encoder, connector])
    for layer in (getattr(model, connector).linear_1, getattr(model, connector).linear_2):
        torch.nn.init.normal_(layer.weight)
        torch.nn.init.normal_(layer.bias)
    volumes = torch.rand(3, 1, 32, 64, 64)

    def tokens() -> torch.Tensor:
        with torch.no_grad():
            seen = model.encode_volume(volumes)
        found = seen.features_2d if encoder == "vision_2d" else seen.features_3d
        assert found is not None
        return found.flatten(0, -2)

    before = tokens()
    dense.standardize(volumes)
    after = tokens()
    assert after.mean(dim=0).abs().max() < 1e-3
    assert after.square().mean().item() == pytest.approx(1, abs=1e-3)
    centred = before - before.mean(dim=0)
    size = centred.square().mean().sqrt()
    torch.testing.assert_close(after, centred / size, rtol=1e-3, atol=1e-3)
