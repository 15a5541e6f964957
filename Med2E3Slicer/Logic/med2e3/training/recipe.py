"""A recipe: what is trained from what, in which stages, written in YAML.

Knows the fields, their defaults and what cannot be meant.  Knows nothing of models or of data; the
fields of ``arguments`` are those of transformers' ``TrainingArguments`` by their own names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from med2e3.errors import InputError

_T = TypeVar("_T", "Recipe", "Stage", "StageData", "Lora")

RECIPES = Path(__file__).resolve().parents[1] / "recipes"

#: stage kind → what it trains when a recipe does not say
KINDS: dict[str, tuple[str, ...]] = {
    "dense": ("vision_2d", "vision_3d"),
    "contrastive": ("vision_3d", "question_encoder"),
    "language": ("language_model",),
    "alignment": ("connector_2d", "connector_3d", "tgis"),
    "instruction": ("language_model", "vision_2d", "connector_2d", "connector_3d", "tgis"),
}
#: parts of the model that can be trained
PARTS = (
    "vision_2d",
    "vision_3d",
    "connector_2d",
    "connector_3d",
    "tgis",
    "question_encoder",
    "language_model",
)
TASKS = ("report", "open_vqa", "closed_vqa")
READS = ("reports", "labels")
AUGMENTATIONS = ("none", "published", "intensity", "displaced")


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (PEFT) instead of full training of the parts they are put on.

    Args:
        r: rank.
        alpha: scale of the update is ``alpha / r``.
        dropout: on the adapters' input.
        parts: every linear layer of these parts gets an adapter.
    """

    r: int = 64
    alpha: int = 16
    dropout: float = 0.05
    parts: tuple[str, ...] = ("language_model",)


@dataclass(frozen=True)
class StageData:
    """What a stage learns from.

    Args:
        split: of the data set.
        tasks: kinds of samples.
        image_alone: reports are asked for by the image alone, as in the published alignment.
        questions_per_volume: None takes every sample as an example of its own; a number takes
            each volume as one example and draws that many of its questions anew each time, so that
            the volume is encoded once for all of them.
        topic_weights: how often a topic is drawn, relative to 1 (with ``questions_per_volume``).
        task_weights: the same for tasks; both factors count.
        augmentation: ``none``, ``published`` (rotations, flips, intensity), ``intensity`` or
            ``displaced`` (pictures moved by a few pixels).
        limit: only that many volumes, for a trial.
    """

    split: str = "train"
    tasks: tuple[str, ...] = TASKS
    image_alone: bool = False
    questions_per_volume: int | None = None
    topic_weights: Mapping[str, float] = field(default_factory=dict)
    task_weights: Mapping[str, float] = field(default_factory=dict)
    augmentation: str = "published"
    limit: int | None = None


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Args:
        name: of its folder.
        kind: a key of :data:`KINDS`.
        train: parts that learn; all others are frozen.
        data: what it learns from.
        model: fields of the model's configuration that are changed before this stage (the paper's
            ablations are such fields).
        text_feature: of a ``contrastive`` stage: ``class_token`` as in M3D-CLIP, or ``pooled``,
            which also trains what TG-IS reads.
        contrast: fields of :class:`~med2e3.model.clip3d.M3DClipConfig` for a ``contrastive`` stage.
        fresh: parts that begin anew, at random by the recipe's seed.
        grounding_weight: weight of the score grounding loss; 0 as published.
        answer_weight: weight of the answers' loss (0 trains the scores alone).
        letter_weight: how much the letter of a choice counts among the tokens of its answer; None
            as published, see :class:`~med2e3.training.collate.Collator`.
        attributes: of whole volumes that a ``dense`` stage learns.
        finding_weights: how much patches that hold a label count in a ``dense`` stage, by the
            label's name.
        always_marked: labels that are marked wherever they are, also in label maps that leave other
            things unknown (``dense`` stages): lesions that were put into a real volume.
        slice_weight: weight of a loss in a ``dense`` stage that lets the slices' vectors, which is
            what TG-IS sees, tell which slices hold a label
            (:mod:`med2e3.training.slice_finding`).
        reads: what stands where the visual tokens would in a ``language`` stage: ``reports`` (the
            volume's), or ``labels``, tokens written from its label map
            (:mod:`med2e3.training.label_tokens`).
        label_tokens: whether the connectors of a ``dense`` stage learn to write those tokens, which
            the stage before has read.
        standard_tokens: whether connectors leave a ``dense`` stage with tokens of mean 0 and
            variance 1.
        slices: of each volume that the 2D encoder of a ``dense`` stage sees at a time; None means
            all of them.
        lora: adapters; None trains the parts themselves.
        layer_wise: learning rates of single parts, relative to ``learning_rate``.
        muon: learning rate of hidden matrices under Muon, relative to ``learning_rate``; None
            leaves all to the optimizer of ``arguments``, see :mod:`med2e3.training.muon`.
        arguments: of transformers' ``TrainingArguments``.
    """

    name: str
    kind: str
    train: tuple[str, ...]
    data: StageData = StageData()
    model: Mapping[str, Any] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    text_feature: str = "class_token"
    contrast: Mapping[str, Any] = field(default_factory=dict)
    grounding_weight: float = 0.0
    answer_weight: float = 1.0
    letter_weight: float | None = None
    attributes: tuple[str, ...] = ("plane", "phase", "region")
    finding_weights: Mapping[str, float] = field(default_factory=dict)
    always_marked: tuple[str, ...] = ()
    slice_weight: float = 0.0
    reads: str = "reports"
    label_tokens: bool = False
    standard_tokens: bool = False
    slices: int | None = None
    lora: Lora | None = None
    layer_wise: Mapping[str, float] = field(default_factory=dict)
    muon: float | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A whole recipe.

    Args:
        title: a name for people; the trained model's.
        stages: in order; each starts from what the one before left.
        start: ``model``: a folder, or ``scratch``: sizes of a model made anew with tokenizers
            learned from the training texts.
        data: how the data set is made when there is none (arguments of
            :func:`med2e3.synthetic.dataset.synthesize`); empty when the user brings one.
        seed: of everything random.
        threads: of torch, on a CPU; None leaves it as it is.
        remark: a sentence that every output of a model made from scratch will carry.
        evaluate: what is measured at the end, each entry the options of ``med2e3 evaluate`` by
            their long names (``split``, ``limit``, ``faithfulness``, ...).
        card: the model card's own text; the figures measured follow it.
    """

    title: str
    stages: tuple[Stage, ...]
    start: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 2026
    threads: int | None = None
    remark: str = ""
    evaluate: tuple[Mapping[str, Any], ...] = ()
    card: str = ""


def load_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name: a file, or the name of one that ships (``embedded``, ``published/alignment``).
        changes: ``path=value`` with the path's words joined by dots and the value in YAML, such
            as ``stages.0.grounding_weight=0.2`` or ``seed=7``; a stage may be named instead of
            counted.

    Raises:
        InputError: for a recipe that does not exist, cannot be read, or cannot be meant.
    """
    path = Path(name)
    if not path.is_file():
        path = RECIPES / f"{name.removesuffix('.yaml')}.yaml"
    if not path.is_file():
        raise InputError(
            f"There is no recipe {name!r}.",
            hint="Give a YAML file, or one of: " + ", ".join(shipped_recipes()) + ".",
        )
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            f"The recipe {path.name!r} is not YAML that can be read.", detail=repr(error)
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"The recipe {path.name!r} holds no fields.")
    for change in changes:
        _apply(values, change)
    try:
        return _recipe(values)
    except InputError as error:
        raise InputError(
            f"The recipe {path.name!r} cannot be used: {error.sentence}", hint=error.hint
        ) from error


def shipped_recipes() -> list[str]:
    """Names of the training recipes that ship with the package."""
    found = []
    for path in sorted(RECIPES.rglob("*.yaml")):
        if "\nstages:" in path.read_text(encoding="utf-8"):
            found.append(path.relative_to(RECIPES).with_suffix("").as_posix())
    return found


def _apply(values: dict[str, Any], change: str) -> None:
    path, sign, text = change.partition("=")
    if not sign:
        raise InputError(f"{change!r} changes nothing.", hint="Write it as path=value.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"The value in {change!r} is not YAML.", detail=repr(error)) from error
    *way, last = path.strip().split(".")
    place: Any = values
    try:
        for word in way:
            place = _inside(place, word)
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(
            f"The recipe has no place {path.strip()!r}.", detail=repr(error)
        ) from error


def _inside(place: Any, word: str) -> Any:
    if isinstance(place, list):
        named = [e for e in place if isinstance(e, dict) and e.get("name", e.get("kind")) == word]
        return named[0] if named else place[int(word)]
    if isinstance(place, dict):
        return place.setdefault(word, {})
    raise KeyError(word)


def _recipe(values: dict[str, Any]) -> Recipe:
    values = dict(values)
    stages = values.pop("stages", None)
    if not isinstance(stages, list) or not stages:
        raise InputError("It has no stages.")
    recipe = _make(Recipe, values | {"stages": tuple(map(_stage, stages))}, "The recipe")
    names = [stage.name for stage in recipe.stages]
    if len(set(names)) < len(names):
        raise InputError("Two of its stages have the same name.")
    if set(recipe.start) - {"model", "scratch"} or len(recipe.start) > 1:
        raise InputError("'start' has one field, 'model' or 'scratch'.")
    return recipe


def _stage(values: Any) -> Stage:
    if not isinstance(values, dict) or values.get("kind") not in KINDS:
        raise InputError(f"The kind of each stage is one of {', '.join(KINDS)}.")
    kind: str = values["kind"]
    name = values.setdefault("name", kind)
    values = {"train": KINDS[kind]} | values
    values["data"] = _make(StageData, values.get("data") or {}, f"'data' of stage {name!r}")
    if values.get("lora") is not None:
        values["lora"] = _make(Lora, values["lora"], f"'lora' of stage {name!r}")
    stage = _make(Stage, values, f"Stage {name!r}")
    _check_words(stage.train, PARTS, f"a part of the model (stage {name!r})")
    _check_words(stage.fresh, PARTS, f"a part of the model (stage {name!r})")
    _check_words(stage.data.tasks, TASKS, f"a task (stage {name!r})")
    _check_words((stage.data.augmentation,), AUGMENTATIONS, f"an augmentation (stage {name!r})")
    _check_words((stage.reads,), READS, f"what stage {name!r} can read")
    if stage.lora is not None:
        _check_words(stage.lora.parts, stage.train, f"a part that stage {name!r} trains")
    _check_words(tuple(stage.data.task_weights), TASKS, f"a task (stage {name!r})")
    data = stage.data
    single = (
        stage.grounding_weight,
        stage.answer_weight,
        stage.letter_weight,
        stage.slice_weight,
        stage.muon,
    )
    weights = [*(w or 0 for w in single), *data.topic_weights.values(), *data.task_weights.values()]
    if min(weights) < 0:
        raise InputError(f"A weight of stage {name!r} is below 0.")
    if (stage.reads != "reports" and kind != "language") or (
        stage.label_tokens and kind != "dense"
    ):
        raise InputError(
            f"Stage {name!r} is of kind {kind!r}.",
            hint="'reads' is for stages of kind 'language', 'label_tokens' for those of 'dense'.",
        )
    if stage.slice_weight and not {"connector_2d", "connector_3d"} <= set(stage.train):
        raise InputError(f"Stage {name!r} needs both connectors to learn what slices tell.")
    shaped = stage.standard_tokens or stage.label_tokens
    if shaped and not any(part.startswith("connector") for part in stage.train):
        raise InputError(f"Stage {name!r} trains no connector whose tokens it could shape.")
    if kind == "dense":
        for part in stage.train:
            if part.replace("connector", "vision") not in stage.train or not _is_dense(part):
                raise InputError(
                    f"Stage {name!r} would not train {part!r}.",
                    hint="A 'dense' stage trains vision_2d, vision_3d or both, and connectors of "
                    "the encoders that it trains.",
                )
    return stage


def _is_dense(part: str) -> bool:
    """Whether a ``dense`` stage can train a part."""
    return part.startswith(("vision", "connector"))


def _make(kind: type[_T], values: Mapping[str, Any], what: str) -> _T:
    known = {entry.name for entry in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(f"{what} has no field {unknown[0]!r}.", hint=", ".join(sorted(known)))
    try:
        made = kind(**values)
    except TypeError as error:
        raise InputError(f"{what} lacks a field.", detail=str(error)) from error
    lists: dict[str, Any] = {n: tuple(v) for n, v in vars(made).items() if isinstance(v, list)}
    return replace(made, **lists)


def _check_words(words: Sequence[str], known: Sequence[str], what: str) -> None:
    for word in words:
        if word not in known:
            raise InputError(f"{word!r} is not {what}.", hint=", ".join(known))
