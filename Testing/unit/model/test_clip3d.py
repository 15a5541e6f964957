"""M3D-CLIP: what it embeds, its loss alone and over several processes, and its parts in Med-2E3."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, BertModel

from fixtures import clip_step
from fixtures.clip_step import BERT, VISION, pairs, small_clip
from fixtures.processes import run_processes
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration
from med2e3.model.clip3d import M3DClipConfig, M3DClipModel, contrastive_loss, same_captions


def test_an_image_is_its_class_token_after_the_final_norm() -> None:
    model, batch = small_clip().eval(), pairs()
    with torch.no_grad():
        model.vision_norm.weight.normal_(1, 0.3)
        hidden = model.vision_3d(batch["pixel_values"], with_class_token=True)
        patches = model.vision_3d(batch["pixel_values"])
        by_hand = model.image_projection(
            F.layer_norm(hidden[:, 0], (24,)) * model.vision_norm.weight
        )
        embedded = model.encode_image(batch["pixel_values"])
    assert hidden.shape == (4, 1 + 2 * 2 * 2, 24)
    assert torch.equal(hidden[:, 1:], patches)
    torch.testing.assert_close(embedded, by_hand / by_hand.norm(dim=-1, keepdim=True))
    assert embedded.std(dim=0).mean() > 0.01, "volumes differ"


@pytest.mark.parametrize("feature", ["class_token", "pooled"])
def test_a_caption_is_its_class_token_without_its_padding(feature: str) -> None:
    model, batch = small_clip(text_feature=feature).eval(), pairs()
    bert: BertModel = model.question_encoder
    with torch.no_grad():
        alone = bert(batch["input_ids"][:1, :4])  # the first caption has four tokens
        taken = alone.last_hidden_state[:, 0] if feature == "class_token" else alone.pooler_output
        embedded = model.encode_text(batch["input_ids"], batch["attention_mask"])
        expected = F.normalize(model.text_projection(taken), dim=-1)
    torch.testing.assert_close(embedded[:1], expected)


def test_the_loss_is_the_mean_over_both_directions() -> None:
    torch.manual_seed(0)
    image, text = (F.normalize(torch.randn(5, 8), dim=-1) for _ in range(2))
    similarity = (4.0 * image @ text.T).double()
    probability_of_text = torch.softmax(similarity, dim=1).diagonal()
    probability_of_image = torch.softmax(similarity, dim=0).diagonal()
    by_hand = -(probability_of_text.log().mean() + probability_of_image.log().mean()) / 2
    loss = contrastive_loss(image, text, torch.tensor(4.0))
    torch.testing.assert_close(loss.double(), by_hand, rtol=1e-6, atol=1e-6)
    own = contrastive_loss(image, text, torch.tensor(4.0), torch.eye(5, dtype=torch.bool))
    torch.testing.assert_close(own, loss)


def test_same_captions_are_no_negatives_of_each_other() -> None:
    batch = pairs()
    same = same_captions(batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -1))
    assert same is not None
    expected = torch.eye(4, dtype=torch.bool)
    expected[1, 3] = expected[3, 1] = True
    assert torch.equal(same, expected)
    # volumes 1 and 3 have one caption between them: both can be found, and cost nothing then
    ideal = torch.eye(4)[[0, 1, 2, 1]]
    loss = contrastive_loss(ideal, ideal, torch.tensor(1000.0), same)
    assert loss.item() == pytest.approx(0)
    plain = contrastive_loss(ideal, ideal, torch.tensor(1000.0))
    torch.testing.assert_close(plain, torch.tensor(math.log(2) / 2))
    model = small_clip().eval()
    with torch.no_grad():
        loss = model(**batch).loss
        image = model.encode_image(batch["pixel_values"])
        text = model.encode_text(batch["input_ids"], batch["attention_mask"])
        logits = model.scale * image @ text.T
        losses = []
        for i in range(4):
            among = [j for j in range(4) if j == i or not same[i, j]]
            for row in (logits[i], logits[:, i]):
                losses.append(torch.logsumexp(row[among], dim=0) - row[i])
    torch.testing.assert_close(loss, torch.stack(losses).mean())


def test_padding_does_not_make_captions_differ() -> None:
    model, batch = small_clip().eval(), pairs()
    longer = dict(batch)
    longer["input_ids"] = F.pad(batch["input_ids"], (0, 3), value=9)
    longer["attention_mask"] = F.pad(batch["attention_mask"], (0, 3))
    with torch.no_grad():
        torch.testing.assert_close(model(**longer).loss, model(**batch).loss)


def test_the_scale_is_a_logarithm_or_as_published() -> None:
    assert small_clip().scale.item() == pytest.approx(1 / 0.07)
    assert small_clip(exponential_scale=False).scale.item() == pytest.approx(math.log(1 / 0.07))
    assert small_clip(logit_scale_init=9.0).scale.item() == 100


@pytest.mark.parametrize("identical", ["left_out", "negatives"])
def test_two_processes_learn_what_one_with_the_whole_batch_learns(
    tmp_path: Path, identical: str
) -> None:
    program = clip_step.__file__
    run_processes([program, str(tmp_path / "one"), identical], 1)
    run_processes([program, str(tmp_path / "two"), identical], 2)
    one, two = load_file(tmp_path / "one"), load_file(tmp_path / "two")
    assert set(one) == set(two)
    assert sum(float(g.abs().sum()) for n, g in one.items() if n != "loss") > 0.1
    for name, expected in one.items():
        rounding = 1e-6 * max(1.0, float(expected.abs().max()))  # sums in another order
        torch.testing.assert_close(two[name], expected, rtol=1e-4, atol=rounding, msg=name)


def test_every_weight_but_an_unused_pooler_learns() -> None:
    for feature in ("class_token", "pooled"):
        model = small_clip(text_feature=feature)
        model(**pairs()).loss.backward()
        idle = {
            n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.abs().sum())
        }
        unused = {n for n in idle if ".pooler." in n}
        assert idle == unused
        assert bool(unused) == (feature == "class_token")
        assert all(p.requires_grad == (n not in unused) for n, p in model.named_parameters())


def test_gradient_checkpointing_changes_no_gradient() -> None:
    plain, saving = small_clip(), small_clip()
    saving.gradient_checkpointing_enable({"use_reentrant": False})
    for model in (plain, saving):
        model.train()(**pairs()).loss.backward()
    for (name, one), two in zip(plain.named_parameters(), saving.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(two.grad, one.grad, msg=name)


def test_training_pulls_pairs_together() -> None:
    model, batch = small_clip(), pairs()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    with torch.no_grad():
        best = model.eval()(**batch, return_loss=False).logits_per_image.argmax(dim=1)
    assert [int(b) for b in best[[0, 2]]] == [0, 2]
    assert {int(best[1]), int(best[3])} <= {1, 3}


def test_it_is_saved_and_loaded_by_the_library(tmp_path: Path) -> None:
    model = small_clip(projection_size=10, exponential_scale=False).eval()
    model.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), M3DClipConfig)
    again = AutoModel.from_pretrained(tmp_path).eval()
    assert isinstance(again, M3DClipModel)
    with torch.no_grad():
        one, two = model(**pairs()), again(**pairs())
    assert one.image_embeds.shape == (4, 10)
    assert torch.equal(one.loss, two.loss)


def test_a_new_model_starts_at_the_configured_scale() -> None:
    config = M3DClipConfig(vision_3d_config=VISION, question_config=BERT, max_text_length=12)
    model = AutoModel.from_config(config)
    assert model.logit_scale.item() == pytest.approx(math.log(1 / 0.07))
    assert model.vision_3d.patch_embedding.position_embeddings.std() > 0


def test_its_encoders_are_those_of_med_2e3() -> None:
    clip = small_clip()
    model = Med2E3ForConditionalGeneration(
        Med2E3Config(
            text_config={
                "model_type": "llama",
                "vocab_size": 20,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
            },
            vision_2d_config={
                "model_type": "siglip_vision_model",
                "image_size": 16,
                "patch_size": 8,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
            },
            vision_3d_config=VISION,
            question_config=BERT,
        )
    )
    for part in ("vision_3d", "question_encoder"):
        getattr(model, part).load_state_dict(getattr(clip, part).state_dict())


@pytest.mark.parametrize(
    "change",
    [{"text_feature": "cls"}, {"identical_captions": "maybe"}, {"max_text_length": 13}],
)
def test_choices_that_do_not_exist_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be one of|beyond"):
        small_clip(**change)
