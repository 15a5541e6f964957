"""Questions and answers about a scene: M3D-VQA's five topics, the region, and a report.

Knows wording, balance and which slices an answer rests on.  Knows nothing of voxels.  Every
question comes in an open and in a closed form, several wordings each.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from med2e3.asking import REPORT_QUESTION
from med2e3.asking.question import Task
from med2e3.data.sample import Sample
from med2e3.synthetic.anatomy import HOLDERS, KINDS, LEVELS, ORGANS, PHASES, REGIONS, SIDES
from med2e3.synthetic.fields import Rng
from med2e3.synthetic.scene import Scene
from med2e3.synthetic.view import Seen

_PLANES = ("axial", "coronal", "sagittal")
_NONE = "no lesion"
_FREE_ORGAN_SHARE = 0.5
#: share of closed questions whose choices begin with a capital letter, as some people write them
_CAPITAL_SHARE = 0.3
_NO_FINDING = "No focal abnormality is seen."

_WORDINGS = {
    "plane": ("In which plane is this CT?", "What is the plane of this CT?",
              "In which plane was this CT acquired?"),
    "phase": ("What is the contrast phase of this CT?", "Which contrast phase does this CT show?"),
    "region": ("Which part of the body does this CT show?", "Which region of the body is this?"),
    "visible": ("Which structures are visible in this volume?", "Which organs are visible?"),
    "in view": ("Can you see the {organ}?", "Does this volume show the {organ}?"),
    "holder": ("Which organ holds the lesion?", "In which organ is the lesion?",
               "Which organ is abnormal?"),
    "lesion": ("Is there a focal lesion?", "Is there a lesion in this CT?",
               "Is there an abnormality?"),
    "lesion in": ("Is there a lesion in the {organ}?", "Do you see a lesion in the {organ}?"),
    "kind": ("What kind of abnormality is there?", "Which kind of lesion is there?"),
    "side": ("On which side of the patient is the lesion?", "Which side is the lesion on?"),
    "level": ("At which level of the volume is the lesion?",
              "Is the lesion in the upper, middle or lower third?"),
    "where": ("Where is the lesion?", "Where is the {kind}?"),
    "report": (REPORT_QUESTION, "Please write a report of this CT.",
               "What are the findings of this CT?"),
}  # fmt: skip


@dataclass(frozen=True)
class _Asked:
    """One question before it gets its form."""

    topic: str
    wording: str
    answer: str
    choices: tuple[str, ...] = ()
    slices: tuple[int, ...] | None = None
    forms: tuple[Task, ...] = ("open_vqa", "closed_vqa")
    words: tuple[tuple[str, str], ...] = ()


def ask_about(scene: Scene, seen: Seen, key: str, split: str, rng: Rng) -> list[Sample]:
    """Every question about one volume, its report last.

    Args:
        scene: what is true.
        seen: what the model sees of it.
        key: of the volume.
        split: of the volume.
        rng: chooses wordings, wrong choices and their order.
    """
    samples = []
    for number, asked in enumerate(_questions(scene, seen, rng)):
        for form in asked.forms:
            samples.append(_sample(asked, form, f"{key}-{number:02d}-{form[0]}", key, split, rng))
    return [*samples, _report(scene, seen, key, split, rng)]


def _questions(scene: Scene, seen: Seen, rng: Rng) -> Iterator[_Asked]:
    yield _Asked("plane", "plane", seen.plane, _PLANES)
    if scene.phase is not None:
        yield _Asked("phase", "phase", scene.phase, PHASES)
    yield _Asked("region", "region", scene.region, ("head", *REGIONS))
    yield from _about_organs(scene, seen, rng)
    yield from _about_lesion(scene, seen, rng)


def _about_organs(scene: Scene, seen: Seen, rng: Rng) -> Iterator[_Asked]:
    visible = list(seen.organ_slices)
    if scene.labelled == frozenset(ORGANS) and visible:
        yield _Asked("organ", "visible", _listed(visible), forms=("open_vqa",))
    if visible and seen.absent:  # as many yes as no
        for organ, answer in ((rng.choice(visible), "yes"), (rng.choice(seen.absent), "no")):
            yield _Asked(
                "organ", "in view", answer, ("yes", "no"), seen.organ_slices.get(str(organ)),
                words=(("organ", str(organ)),),
            )  # fmt: skip


def _about_lesion(scene: Scene, seen: Seen, rng: Rng) -> Iterator[_Asked]:
    lesion, slices = scene.lesion, seen.lesion_slices or None
    yield _Asked("abnormality", "lesion", "yes" if lesion else "no", ("yes", "no"), slices)
    yield _Asked("abnormality", "kind", lesion.kind if lesion else _NONE, (*KINDS, _NONE), slices)
    held = HOLDERS.get(lesion.organ) if lesion and lesion.organ else None
    free = [organ for organ in seen.organ_slices if organ in HOLDERS.values() and organ != held]
    if held is not None:
        yield _Asked(
            "abnormality", "lesion in", "yes", ("yes", "no"), slices, words=(("organ", held),)
        )
    # half as often in each half of the volumes, so that there are about as many yes as no
    if free and (lesion is None or held is not None) and rng.random() < _FREE_ORGAN_SHARE:
        other = str(rng.choice(free))
        yield _Asked(
            "abnormality", "lesion in", "no", ("yes", "no"), seen.organ_slices[other],
            words=(("organ", other),),
        )  # fmt: skip
    if lesion is None:
        return
    if lesion.organ is not None:
        others = [organ for organ in HOLDERS if organ != lesion.organ]
        wrong = [str(o) for o in rng.choice(others, 3, replace=False)]
        yield _Asked("organ", "holder", lesion.organ, (lesion.organ, *wrong), slices)
    if seen.side is not None:
        yield _Asked("location", "side", seen.side, SIDES, slices)
    if seen.level is not None:
        yield _Asked("location", "level", seen.level, LEVELS, slices)
    if seen.side is not None or lesion.organ is not None:
        yield _Asked(
            "location", "where", _place(scene, seen), slices=slices, forms=("open_vqa",),
            words=(("kind", lesion.kind),),
        )  # fmt: skip


def _sample(asked: _Asked, form: Task, identity: str, key: str, split: str, rng: Rng) -> Sample:
    wordings = _WORDINGS[asked.wording]
    question = wordings[int(rng.integers(len(wordings)))].format(**dict(asked.words))
    if form == "open_vqa":
        return Sample(
            identity, key, split, form, asked.answer, question, asked.topic, slices=asked.slices
        )
    order = rng.permutation(len(asked.choices))
    spell = str.capitalize if rng.random() < _CAPITAL_SHARE else str
    choices = tuple(spell(asked.choices[i]) for i in order)
    answer = spell(asked.answer)
    letter = string.ascii_uppercase[choices.index(answer)]
    return Sample(
        identity, key, split, form, answer, question, asked.topic, choices, letter,
        slices=asked.slices,
    )  # fmt: skip


def _report(scene: Scene, seen: Seen, key: str, split: str, rng: Rng) -> Sample:
    sentences = [f"{seen.plane.capitalize()} CT of the {scene.region}."]
    if scene.phase is not None:
        sentences.append(f"The phase is {scene.phase}.")
    if scene.labelled == frozenset(ORGANS) and seen.organ_slices:
        sentences.append(f"Visible: {_listed(list(seen.organ_slices))}.")
    mentions: tuple[str, ...] = (seen.plane, scene.region)
    omits: tuple[str, ...] = ()
    if scene.lesion is None:
        sentences.append(_NO_FINDING)
        mentions, omits = (*mentions, _NO_FINDING.rstrip(".").lower()), KINDS
    else:
        sentences.append(f"There is a {scene.lesion.kind} {_place(scene, seen)}.")
        mentions, omits = (*mentions, "there is a"), ("no focal abnormality",)
    wordings = _WORDINGS["report"]
    return Sample(
        f"{key}-report", key, split, "report", " ".join(sentences),
        wordings[int(rng.integers(len(wordings)))],
        slices=seen.lesion_slices or None, mentions=mentions, omits=omits,
    )  # fmt: skip


def _place(scene: Scene, seen: Seen) -> str:
    """In the right lung, in the upper third."""
    assert scene.lesion is not None
    parts = []
    organ, side = scene.lesion.organ, scene.lesion.paired_side
    if organ is not None:
        parts.append(f"in the {side} {organ}" if side else f"in the {organ}")
    elif seen.side is not None:
        parts.append(f"on the {seen.side} side")
    if seen.level is not None:
        parts.append(f"in the {seen.level} third")
    return ", ".join(parts)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
