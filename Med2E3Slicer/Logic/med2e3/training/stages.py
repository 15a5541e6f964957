"""One stage of training: what it learns from, with which loss, and what it leaves behind.

Each stage takes a folder with a Med-2E3 model and leaves another one.  Knows the four kinds of
stages; knows nothing of recipes' files or of how stages follow each other
(:mod:`med2e3.training.run`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments, set_seed
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from transformers.trainer import TRAINER_STATE_NAME

from med2e3.atomic import write_text
from med2e3.data.store import VolumeStore
from med2e3.errors import InputError
from med2e3.model import Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.model.attention import FLOAT32_ON_CPU
from med2e3.model.clip3d import M3DClipConfig, M3DClipModel
from med2e3.session.devices import multiplies_bfloat16_fast
from med2e3.training.collate import Collator, ReadingCollator, stack_voxels
from med2e3.training.contrastive import ContrastiveCollator
from med2e3.training.dense import DenseCollator, DensePretraining
from med2e3.training.examples import Examples
from med2e3.training.label_tokens import LabelCollator, LabelReading, LabelTokens
from med2e3.training.lora import add_adapters, merge_adapters
from med2e3.training.parts import begin_anew, train_only, with_variant
from med2e3.training.recipe import RECIPES, Stage
from med2e3.training.scoring import Scoring
from med2e3.training.trainer import DenseTrainer, Med2E3Trainer, OrderedTrainer

#: folder of the model that a stage leaves
MODEL = "model"
#: folder of the M3D-CLIP model that a contrastive stage leaves besides
CLIP = "clip"
#: what was logged on the way: losses, learning rates
HISTORY = "history.json"
_CHECKPOINTS = "checkpoints"
#: volumes of which the size of connectors' tokens is measured
_STANDARD = 32


@dataclass(frozen=True)
class Learner:
    """What a stage trains, and on what.

    Args:
        module: what the optimizer sees.
        collator: makes its batches.
        trainer: a class of :mod:`med2e3.training.trainer`, and its own arguments.
    """

    module: nn.Module
    collator: Callable[[Sequence[Any]], dict[str, Any]]
    trainer: type[OrderedTrainer]
    options: dict[str, Any]


def run_stage(stage: Stage, start: Path, data: Path, output: Path, *, seed: int) -> Path:
    """Train one stage, or go on with it where it was stopped.

    Args:
        stage: what to do.
        start: folder of the model that it begins with.
        data: prepared training data.
        output: the stage's folder: checkpoints while it runs, then ``model``.
        seed: of everything random.

    Returns:
        The folder of the trained model.

    Raises:
        InputError: when data, model and recipe do not fit together.
    """
    # what begins at random is the same in every process, and whether or not this process has
    # trained the stages before
    set_seed(seed)
    store = VolumeStore(data)
    model, processor = _load(start, stage, seed)
    if tuple(store.size) != tuple(model.config.input_size):
        raise InputError(
            f"The training data are volumes of {store.size}, and this model takes "
            f"{model.config.input_size}.",
            hint="Prepare the data with the model's own size.",
        )
    arguments = _arguments(stage, output, seed)
    examples = Examples(
        store,
        stage.data,
        epochs=max(1, round(arguments.num_train_epochs)),
        seed=seed,
        with_labels=stage.kind == "dense" or stage.reads == "labels",
    )
    arguments.num_train_epochs = 1  # the examples of all epochs follow each other
    learner = _learner(stage, model, processor, store, start)
    _wrap_layers(arguments, learner.module)
    trainer = learner.trainer(
        model=learner.module,
        args=arguments,
        train_dataset=examples,
        data_collator=learner.collator,
        layer_wise=stage.layer_wise,
        muon=stage.muon,
        **learner.options,
    )
    trainer.train(resume_from_checkpoint=_last_checkpoint(output))
    whole = _gathered(trainer)
    if trainer.is_world_process_zero():
        if whole is not None:
            model, processor = _load(start, stage, seed)
            learner = _learner(stage, model, processor, store, start)
            learner.module.load_state_dict(whole)
        if stage.standard_tokens and isinstance(learner.module, DensePretraining):
            some = [examples[i] for i in range(min(_STANDARD, len(examples)))]
            learner.module.standardize(stack_voxels(some).to(model.device))
        write_text(output / HISTORY, json.dumps(trainer.state.log_history, indent=1) + "\n")
        _write(stage, learner, model, processor, output)
    trainer.accelerator.wait_for_everyone()
    return output / MODEL


def _load(
    start: Path, stage: Stage, seed: int
) -> tuple[Med2E3ForConditionalGeneration, Med2E3Processor]:
    unset_hf_deepspeed_config()  # of the stage before: the library would shard while loading
    model = Med2E3ForConditionalGeneration.from_pretrained(
        start,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        attn_implementation=None if torch.accelerator.is_available() else FLOAT32_ON_CPU,
    )
    processor = Med2E3Processor.from_pretrained(start, local_files_only=True)
    model, processor = with_variant(model, processor, stage.model)
    begin_anew(model, stage.fresh, seed)
    return model, processor


def uses_bfloat16(stage: Stage) -> bool:
    """Whether a stage that asks for bfloat16 computes in it: not on a CPU that is slow at it.

    On one without AVX-512 the embedded model's steps took ten times as long as in float32.
    """
    asked = bool(stage.arguments.get("bf16"))
    return asked and (torch.accelerator.is_available() or multiplies_bfloat16_fast())


def _arguments(stage: Stage, output: Path, seed: int) -> TrainingArguments:
    defaults: dict[str, Any] = {
        "report_to": [],
        "save_total_limit": 2,
        "logging_steps": 50,
        "save_strategy": "steps",
        "lr_scheduler_type": "cosine",
        "disable_tqdm": True,
        "use_cpu": not torch.accelerator.is_available(),
    }
    fixed = {
        "output_dir": str(output / _CHECKPOINTS),
        "seed": seed,
        "data_seed": seed,
        "remove_unused_columns": False,
    }
    given = dict(stage.arguments)
    if given.get("bf16"):
        given["bf16"] = uses_bfloat16(stage)
    for name in ("deepspeed", "fsdp_config"):
        if isinstance(given.get(name), str):
            given[name] = _shipped(given[name])
    try:
        return TrainingArguments(**(defaults | given | fixed))
    except (TypeError, ValueError, ImportError) as error:
        raise InputError(
            f"The training arguments of stage {stage.name!r} cannot be used.",
            hint="They are those of transformers' TrainingArguments.",
            detail=repr(error),
        ) from error


def _shipped(name: str) -> str:
    """A file of settings for many GPUs: the user's own, or one that ships (``zero3``)."""
    shipped = RECIPES / "distributed" / f"{name}.json"
    return str(shipped) if shipped.is_file() and not Path(name).exists() else name


def _wrap_layers(arguments: TrainingArguments, module: nn.Module) -> None:
    """Tell FSDP, unless it is told, which layers to shard: those that this model has."""
    settings = arguments.fsdp_plugin_args
    if settings is not None and "transformer_cls_names_to_wrap" not in settings:
        present = {type(part).__name__ for part in module.modules()}
        known = {*Med2E3ForConditionalGeneration._no_split_modules, *M3DClipModel._no_split_modules}
        settings["transformer_cls_names_to_wrap"] = ",".join(sorted(present & known))


def _learner(
    stage: Stage,
    model: Med2E3ForConditionalGeneration,
    processor: Med2E3Processor,
    store: VolumeStore,
    start: Path,
) -> Learner:
    if stage.kind == "dense":
        return _dense(stage, model, store, start)
    if stage.kind == "contrastive":
        return _contrastive(stage, model, processor)
    train_only(model, stage.train)
    module: nn.Module = model
    if stage.lora is not None:
        module = add_adapters(model, stage.lora, stage.train)
    if stage.reads == "labels":
        labels, attributes = _known(stage, store)
        tokens = _label_tokens(stage, model, labels, attributes)
        sizes = [len(values) for values in attributes.values()]
        known = DenseCollator(len(labels), attributes).known
        label_collator = LabelCollator(
            processor, model.config, known, letter_weight=stage.letter_weight
        )
        return Learner(LabelReading(model, tokens, sizes), label_collator, Med2E3Trainer, {})
    if stage.kind == "language":
        reports = {
            s.volume: s.answer for s in store.samples(stage.data.split) if s.task == "report"
        }
        reading = ReadingCollator(
            processor, model.config, reports, letter_weight=stage.letter_weight
        )
        return Learner(module, reading, Med2E3Trainer, {})
    if not stage.answer_weight:
        if not model.config.scores_slices or stage.lora is not None:
            raise InputError(
                f"Nothing would be learned in stage {stage.name!r}: its answers count nothing.",
                hint="A stage with 'answer_weight: 0' trains the scores of a model that has some, "
                "without adapters.",
            )
        module = Scoring(model)
    options = {"grounding_weight": stage.grounding_weight, "answer_weight": stage.answer_weight}
    collator = Collator(processor, model.config, letter_weight=stage.letter_weight)
    return Learner(module, collator, Med2E3Trainer, options)


def _known(stage: Stage, store: VolumeStore) -> tuple[list[str], dict[str, list[str]]]:
    """Names of the labels, and the values of each attribute that volumes of the split have."""
    labels: list[str] = store.description["labels"]
    if not labels:
        raise InputError(
            f"The stage {stage.name!r} learns from label maps, and the training data have none.",
            hint="Prepare the data with labels, or leave this stage out.",
        )
    return labels, {
        name: sorted({str(e.attributes[name]) for e in store.entries.values()
                      if e.split == stage.data.split and e.attributes.get(name) is not None})
        for name in stage.attributes
    }  # fmt: skip


def _label_tokens(
    stage: Stage,
    model: Med2E3ForConditionalGeneration,
    labels: Sequence[str],
    attributes: Mapping[str, Sequence[str]],
) -> LabelTokens:
    if not (model.config.uses_2d and model.config.uses_3d):
        raise InputError(f"The stage {stage.name!r} needs a model with both encoders.")
    return LabelTokens(model.config, len(labels), sum(map(len, attributes.values())))


def _dense(
    stage: Stage, model: Med2E3ForConditionalGeneration, store: VolumeStore, start: Path
) -> Learner:
    labels, attributes = _known(stage, store)
    weights = torch.tensor([float(stage.finding_weights.get(name, 1.0)) for name in labels])
    tokens = None
    if stage.label_tokens:
        tokens = _label_tokens(stage, model, labels, attributes)
        tokens.load(start)
    unknown = sorted({*stage.always_marked} - {*labels})
    if unknown:
        raise InputError(
            f"'always_marked' of stage {stage.name!r} names {unknown[0]!r}, which is no label of "
            "the training data.",
            hint="Their labels: " + ", ".join(labels) + ".",
        )
    module = DensePretraining(
        model,
        len(labels),
        attributes,
        weights,
        stage.slices,
        stage.train,
        tokens,
        torch.tensor([name in stage.always_marked for name in labels]),
        stage.slice_weight,
    )
    if not module.encoders:
        raise InputError(
            f"The stage {stage.name!r} trains no encoder that this model has.",
            hint="A 'dense' stage trains vision_2d, vision_3d or both.",
        )
    return Learner(module, DenseCollator(len(labels), attributes), DenseTrainer, {})


def _contrastive(
    stage: Stage, model: Med2E3ForConditionalGeneration, processor: Med2E3Processor
) -> Learner:
    config = model.config
    if not (config.uses_3d and config.uses_question_encoder):
        raise InputError(
            f"The stage {stage.name!r} needs a model with a 3D encoder and a question encoder."
        )
    fields: dict[str, Any] = {
        "projection_size": config.vision_3d.hidden_size,
        "text_feature": stage.text_feature,
        "max_text_length": min(128, int(config.question.max_position_embeddings)),
    }
    unknown = sorted(set(stage.contrast) - set(M3DClipConfig.__annotations__))
    if unknown:
        raise InputError(f"'contrast' of stage {stage.name!r} has no field {unknown[0]!r}.")
    try:
        clip_config = M3DClipConfig(
            vision_3d_config=config.vision_3d.to_dict(),
            question_config=config.question.to_dict(),
            **(fields | dict(stage.contrast)),
        )
    except (ValueError, TypeError) as error:
        raise InputError(
            f"'contrast' of stage {stage.name!r} cannot be used.", detail=repr(error)
        ) from error
    clip = M3DClipModel(clip_config)
    clip.vision_3d = model.vision_3d  # trained in place
    clip.question_encoder = model.question_encoder
    for name in ("vision_3d", "question_encoder"):
        getattr(clip, name).requires_grad_(name in stage.train)
    clip.freeze_unused()
    collator = ContrastiveCollator(processor, clip_config.max_text_length)
    return Learner(clip, collator, OrderedTrainer, {})


def _last_checkpoint(output: Path) -> str | None:
    """The newest checkpoint that is whole; a kill while one was written leaves a part of it."""
    found = (output / _CHECKPOINTS).glob("checkpoint-*")
    for folder in sorted(found, key=lambda path: int(path.name.split("-")[1]), reverse=True):
        try:
            json.loads((folder / TRAINER_STATE_NAME).read_text(encoding="utf-8"))  # written last
        except (OSError, ValueError):
            continue
        return str(folder)
    return None


def _write(
    stage: Stage,
    learner: Learner,
    model: Med2E3ForConditionalGeneration,
    processor: Med2E3Processor,
    output: Path,
) -> None:
    """Leave the stage's model, whole or not at all, and drop its checkpoints."""
    if stage.lora is not None:
        model = merge_adapters(learner.module)
    model.requires_grad_(True)
    if stage.kind == "instruction":
        model.config.untrained = False
    if stage.grounding_weight and model.config.scores_slices:
        model.config.score_grounding = stage.grounding_weight
    part = output / f".{MODEL}.part"
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    processor.save_pretrained(part)
    if isinstance(learner.module, LabelReading):
        learner.module.tokens.save(part)
    if isinstance(learner.module, M3DClipModel):
        learner.module.requires_grad_(True)
        learner.module.save_pretrained(output / CLIP)
        processor.question_tokenizer.save_pretrained(output / CLIP)
    shutil.rmtree(output / MODEL, ignore_errors=True)
    part.replace(output / MODEL)
    shutil.rmtree(output / _CHECKPOINTS, ignore_errors=True)


def _gathered(trainer: OrderedTrainer) -> dict[str, Any] | None:
    """The whole weights where they are sharded over processes (on the first one), else None."""
    if not (trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled):
        return None
    state: dict[str, Any] | None = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return state
