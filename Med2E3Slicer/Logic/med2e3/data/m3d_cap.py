"""Reads M3D-Cap: volumes with radiology reports.

Knows its JSON (``{"train": [{"image": "....npy", "text": "....txt"}], ...}``), which part of a text
file is the report, and ways to ask for a report.  Knows nothing of voxels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from med2e3.asking import REPORT_QUESTION
from med2e3.data.keys import ENOUGH_PARTS, root_name
from med2e3.data.refusals import Refusal, Refuse
from med2e3.data.sample import Sample
from med2e3.errors import InputError

#: ``drawn`` from our list for each report, always the ``default`` question, or ``none``: the image
#: alone, for the alignment of features
Asking = Literal["drawn", "default", "none"]
ASKINGS: tuple[Asking, ...] = ("drawn", "default", "none")

#: ways to ask for a report of the whole volume
REPORT_QUESTIONS = (
    REPORT_QUESTION,
    "Write the findings section of a report for this scan.",
    "What does this scan show?",
    "Describe the findings in this volume.",
    "Report on this CT scan.",
    "Which findings would you note in this examination?",
    "Give a radiologist's description of this image.",
    "Summarize what can be seen in this scan.",
    "Please describe this CT volume in a few sentences.",
    "What are the findings of this study?",
    "Dictate a report for this examination.",
    "Tell me what is visible in this medical image.",
)

_MARKS = ("study_findings:", "discussion:")
_FEWEST_SIGNS = 5
#: no report is longer; what is longer is another file
_LARGEST_TEXT = 1_000_000


def report_text(text: str) -> str:
    """The report of an M3D-Cap text file, on one line.

    It is what follows ``study_findings:``; where that is missing or hardly anything, what follows
    ``discussion:``; where that is, too, the whole text (such as a file of M3D's own preparation,
    which holds the report alone).

    Args:
        text: the file's content.

    Returns:
        empty when there is no report.
    """
    for mark in _MARKS:
        _, found, after = text.partition(mark)
        report = _one_line(after)
        if found and len(report.replace(" ", "")) >= _FEWEST_SIGNS:
            return report
    whole = _one_line(text)
    return whole if len(whole.replace(" ", "")) >= _FEWEST_SIGNS else ""


def question_for(identity: str, asking: Asking) -> str:
    """The question of a report; the same one for the same sample in every run."""
    if asking == "none":
        return ""
    if asking == "default":
        return REPORT_QUESTION
    number = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")
    return REPORT_QUESTIONS[number % len(REPORT_QUESTIONS)]


def read_m3d_cap(
    path: Path, texts: Path, *, refuse: Refuse, asking: Asking = "drawn"
) -> Iterator[Sample]:
    """Read reports, one sample for each entry of the JSON file.

    ``Sample.volume`` is the path of the file; the caller finds the volume that it means.

    Args:
        path: the JSON file.
        texts: the folder below which the text files are; folders of the path in the JSON that are
            not there are passed over.
        refuse: gets each entry that is left out.
        asking: how reports are asked for.

    Raises:
        InputError: when the file cannot be read or is something else.
    """
    splits = _read_splits(path)
    for split, entries in splits.items():
        for number, entry in enumerate(entries, 1):
            where = f"{path.name}: {split} {number}"
            if (
                not isinstance(entry, dict)
                or not isinstance(entry.get("image"), str)
                or not isinstance(entry.get("text"), str)
            ):
                refuse(Refusal(where, "The entry has no image and text."))
                continue
            report, problem = _read_report(texts, entry["text"])
            if problem:
                refuse(Refusal(where, problem))
                continue
            identity = f"cap/{split}/{number}"
            yield Sample(
                id=identity,
                volume=entry["image"],
                split=split,
                task="report",
                answer=report,
                question=question_for(identity, asking),
            )


def _read_splits(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            f"The file {path.name!r} cannot be read: {error.strerror or error}.",
            detail=repr(error),
        ) from error
    except ValueError as error:
        raise InputError(
            f"The file {path.name!r} is not JSON, or it is cut short.", detail=str(error)
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, list) for v in content.values()):
        raise InputError(
            f"The file {path.name!r} does not hold lists of images and texts by split.",
            hint='M3D-Cap\'s file is {"train": [{"image": ..., "text": ...}], "test": [...]}.',
        )
    return content


def _read_report(texts: Path, name: str) -> tuple[str, str]:
    """The report of a text file, or why there is none."""
    file = find_file(texts, name)
    if file is None:
        return "", "Its text file is not there."
    try:
        if file.stat().st_size > _LARGEST_TEXT:
            return "", "Its text file is too large for a report."
        text = file.read_text(encoding="utf-8-sig")
    except OSError:
        return "", "Its text file cannot be opened."
    except ValueError:
        return "", "Its text file is not UTF-8 text."
    report = report_text(text)
    return report, "" if report else "Its text file holds no report."


def find_file(folder: Path, name: str) -> Path | None:
    """The file that a relative path of an annotation file names, below a folder.

    First folders of the path are passed over as in :class:`~med2e3.data.keys.KeyFinder`; a path
    never leads out of the folder.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    root = root_name(folder.resolve().name)
    for start in range(len(parts)):
        certain = not start or root_name(parts[start - 1]) == root
        file = folder.joinpath(*parts[start:])
        if (certain or len(parts) - start >= ENOUGH_PARTS) and file.is_file():
            return file
    return None


def _one_line(text: str) -> str:
    return text.replace("\r", "").replace("\n", " ").strip()
