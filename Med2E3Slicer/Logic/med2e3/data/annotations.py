"""Annotation files of any known kind become the samples of a store.

Knows which file is of which kind, which split its name tells, how samples find their volume, and
how the slices they rest on follow from labels.  The kinds themselves are read elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from med2e3.data.conversations import read_conversations
from med2e3.data.keys import KeyFinder
from med2e3.data.m3d_cap import Asking, read_m3d_cap
from med2e3.data.m3d_vqa import Form, check_m3d_vqa, read_m3d_vqa
from med2e3.data.refusals import Refusal, Refuse
from med2e3.data.sample import Sample, read_samples
from med2e3.errors import InputError

Kind = Literal["m3d-cap", "m3d-vqa", "conversations", "samples"]
_SPLIT_WORDS = {"train": "train", "val": "validation", "valid": "validation",
                "validation": "validation", "dev": "validation"}  # fmt: skip


@dataclass(frozen=True)
class AnnotationFile:
    """A file of annotations.

    Args:
        path: of the file.
        kind: what it is.
        split: of its samples; empty where each of them tells its own.
    """

    path: Path
    kind: Kind
    split: str = ""


def recognise(path: Path, split: str = "") -> AnnotationFile:
    """Find out what a file is by its name and first sign.

    Args:
        path: ``.csv`` for M3D-VQA; ``.json`` for M3D-Cap (an object) or conversations (a list);
            ``.jsonl`` for samples as a store has them.
        split: of a file of M3D-VQA or conversations; by default what its name tells: a part
            ``train``, ``val`` or ``test...``.

    Raises:
        InputError: when the file cannot be read, is of no known kind, or tells no split.
    """
    kind = _kind(path)
    if kind in ("m3d-cap", "samples"):
        if split:
            raise InputError(
                f"The file {path.name!r} tells the split of each sample; {split!r} has no meaning.",
                hint="Give the file without a split.",
            )
        return AnnotationFile(path, kind)
    if kind == "m3d-vqa":
        check_m3d_vqa(path)
    split = split or split_of_name(path.stem)
    if not split:
        raise InputError(
            f"The name of {path.name!r} does not tell whether it is for training or testing.",
            hint=f"Give it as train={path.name}, validation={path.name} or test={path.name}.",
        )
    return AnnotationFile(path, kind, split)


def split_of_name(stem: str) -> str:
    """The split that a file's name tells (``M3D_VQA_test5k`` gives ``test5k``), or nothing."""
    for word in re.split(r"[^a-z0-9]+", stem.lower()):
        if word in _SPLIT_WORDS:
            return _SPLIT_WORDS[word]
        if word.startswith("test"):
            return word
    return ""


def is_training(split: str) -> bool:
    """Whether a split is learned from."""
    return split.startswith("train")


def read_annotations(
    file: AnnotationFile, texts: Path, *, asking: Asking, form: Form, refuse: Refuse
) -> Iterator[Sample]:
    """Read a file's samples; ``volume`` is still the path that the file has.

    Raises:
        InputError: when the file is damaged as a whole.
    """
    if file.kind == "m3d-cap":
        return read_m3d_cap(file.path, texts, refuse=refuse, asking=asking)
    if file.kind == "m3d-vqa":
        return read_m3d_vqa(file.path, split=file.split, refuse=refuse, form=form)
    if file.kind == "conversations":
        return read_conversations(file.path, split=file.split, refuse=refuse)
    return read_samples(file.path)


class Assembler:
    """Gives samples the key of their volume and the slices they rest on.

    Args:
        finder: of the volumes that are stored.
        attributes: of each volume; ``label_slices`` holds the slices of each label.
        refuse: gets what is left out.

    Attributes:
        splits: of each volume, the splits of its samples.
    """

    def __init__(
        self, finder: KeyFinder, attributes: Mapping[str, Mapping[str, Any]], refuse: Refuse
    ) -> None:
        self.splits: dict[str, set[str]] = defaultdict(set)
        self._finder = finder
        self._attributes = attributes
        self._refuse = refuse
        self._ids: set[str] = set()

    def assemble(self, name: str, samples: Iterator[Sample]) -> Iterator[Sample]:
        """Go through the samples of one file, called ``name``.

        A sample without a volume is left out; missing volumes are told once each at the end.
        """
        missing: Counter[str] = Counter()
        for sample in samples:
            key = self._finder.find(sample.volume)
            if key is None:
                missing[sample.volume] += 1
                continue
            if sample.id in self._ids:
                self._refuse(Refusal(name, f"Another sample has the id {sample.id!r}, too."))
                continue
            self._ids.add(sample.id)
            self.splits[key].add(sample.split)
            slices = sample.slices
            if slices is None:
                slices = slices_of(sample, self._attributes[key].get("label_slices", {}))
            yield replace(sample, volume=key, slices=slices)
        for volume, count in missing.items():
            reason = f"There is no volume {volume!r}, so {count} sample(s) were left out."
            self._refuse(Refusal(name, reason))


def slices_of(sample: Sample, label_slices: Mapping[str, Sequence[int]]) -> tuple[int, ...] | None:
    """The slices that an answer rests on, as far as labels tell.

    Of the labels that the answer names, or else the question, and that are in the volume, the one
    with the fewest slices: a lesion rather than the organ that it is in; where there is no lesion,
    the organ.

    Args:
        sample: any.
        label_slices: slices of each label that is in the volume; words of a name may be joined
            by ``_``.

    Returns:
        ascending, or None when no label is named.
    """
    if sample.task == "report":  # it rests on the whole volume
        return None
    for text in (sample.answer, sample.question):
        named = [tuple(slices) for name, slices in label_slices.items() if _names(text, name)]
        if named:
            return min(named, key=len)
    return None


def _names(text: str, label: str) -> bool:
    words = [re.escape(word) for word in re.split(r"[\s_]+", label.strip().casefold()) if word]
    pattern = r"\b" + r"[\s_]+".join(words) + r"(?:e?s)?\b"
    return bool(words) and re.search(pattern, text.casefold()) is not None


def _kind(path: Path) -> Kind:
    suffix = path.suffix.lower()
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            start = stream.read(4096).lstrip()[:1]
    except OSError as error:
        raise InputError(
            f"The file {path.name!r} cannot be read: {error.strerror or error}.",
            hint="Check the path.",
            detail=repr(error),
        ) from error
    if suffix == ".csv":
        return "m3d-vqa"
    if suffix == ".jsonl":
        return "samples"
    if suffix == ".json" and start == "{":
        return "m3d-cap"
    if suffix == ".json" and start == "[":
        return "conversations"
    raise InputError(
        f"The file {path.name!r} holds no annotations of a kind known here.",
        hint="Give M3D-Cap (.json), M3D-VQA (.csv), conversations (.json), or samples (.jsonl).",
    )
