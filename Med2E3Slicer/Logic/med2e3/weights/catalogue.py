"""The models that can be downloaded, and what is known about them beforehand.

Knows the catalogue file and its rules (which files may be fetched, what is pinned); does not
know the network, the disk, or what is installed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from med2e3.errors import InputError, WeightsError
from med2e3.weights.store import checked_name

Role = Literal["checkpoint", "question_tokenizer", "model"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WILDCARD = re.compile(r"[*?\[]")
#: never fetched, whatever a catalogue says: no code is taken from a hub
_CODE_SUFFIXES = (".py", ".pyc", ".so", ".dll", ".dylib", ".sh", ".exe")


@dataclass(frozen=True)
class FileRule:
    """One entry of the list of files that may be fetched.

    Attributes:
        path: path in the repository; each part may hold ``*`` and ``?``, which never match
            ``/``.
        required: whether the model is of no use without it.
        size: bytes when known; then a file of another size is refused.
        sha256: when known; then a file with other content is refused.
    """

    path: str
    required: bool
    size: int | None = None
    sha256: str | None = None

    def matches(self, path: str) -> bool:
        """Whether this rule allows ``path`` (a path in the repository)."""
        mine, other = PurePosixPath(self.path).parts, PurePosixPath(path).parts
        return len(mine) == len(other) and all(map(fnmatchcase, other, mine))


@dataclass(frozen=True)
class HubSource:
    """One repository of which files are taken.

    Attributes:
        role: what the files are: the published checkpoint, the question's tokenizer, or a
            model that needs no conversion.
        repo: repository id, ``owner/name``.
        revision: commit, 40 hexadecimal digits; None while it is not pinned: then the first
            download finds it out and it is recorded.
        files: what may be fetched.
    """

    role: Role
    repo: str
    revision: str | None
    files: tuple[FileRule, ...]

    def rule_for(self, path: str) -> FileRule | None:
        """The rule that allows ``path``, None when it must not be fetched."""
        pure = PurePosixPath(path)
        unsafe = pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path
        if unsafe or pure.suffix.lower() in _CODE_SUFFIXES:
            return None
        return next((rule for rule in self.files if rule.matches(path)), None)


@dataclass(frozen=True)
class LicencePart:
    """A part of a model and the licence it comes with."""

    what: str
    licence: str


@dataclass(frozen=True)
class Licence:
    """What a person acknowledges before the download.

    Attributes:
        name: SPDX name of the licence of the weights.
        parts: the model's parts with their own licences.
        text: paragraphs.
    """

    name: str
    parts: tuple[LicencePart, ...]
    text: tuple[str, ...]


@dataclass(frozen=True)
class CatalogueEntry:
    """One model that can be downloaded.

    Attributes:
        name: what a person types.
        title: one line.
        sources: repositories; the first one is the model itself.
        licence: shown and acknowledged before the download.
        approximate_bytes: size of the download before the hub was asked.
        needs_conversion: whether ``models convert`` runs after the download.
    """

    name: str
    title: str
    sources: tuple[HubSource, ...]
    licence: Licence
    approximate_bytes: int
    needs_conversion: bool

    @property
    def revision(self) -> str | None:
        """Pinned commit of the model itself, None while it is not pinned."""
        return self.sources[0].revision

    def source(self, role: Role) -> HubSource:
        """The source with this role; the catalogue was checked to have it."""
        return next(source for source in self.sources if source.role == role)


def load_catalogue(path: Path | None = None) -> dict[str, CatalogueEntry]:
    """All entries of the catalogue by name.

    Args:
        path: another catalogue file; None for the one that ships with the software.

    Raises:
        WeightsError: the file breaks a rule; its detail names which.
    """
    text = (path or files("med2e3.weights").joinpath("catalogue.json")).read_text(encoding="utf-8")
    try:
        content = json.loads(text)
        if content["schema_version"] != 1:
            raise ValueError("schema_version is not 1")
        entries = [_entry(item) for item in content["models"]]
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise WeightsError(
            "The catalogue of models cannot be understood.",
            hint="Install the software again.",
            detail=repr(error),
        ) from error
    return {entry.name: entry for entry in entries}


def find_entry(name: str, path: Path | None = None) -> CatalogueEntry:
    """The catalogue's entry of this name.

    Raises:
        InputError: there is none; the sentence lists the names.
    """
    catalogue = load_catalogue(path)
    if name not in catalogue:
        raise InputError(
            f"The catalogue has no model {name!r}.",
            hint=f"It has: {', '.join(catalogue)}.",
        )
    return catalogue[name]


def is_commit(revision: str) -> bool:
    """Whether ``revision`` is a full commit id and not a branch or a tag."""
    return _COMMIT.fullmatch(revision) is not None


def _entry(item: dict[str, Any]) -> CatalogueEntry:
    sources = tuple(_source(source) for source in item["sources"])
    roles = [source.role for source in sources]
    expected = ["checkpoint", "question_tokenizer"] if item["needs_conversion"] else ["model"]
    if roles != expected:
        raise ValueError(f"{item['name']}: the sources must be {expected}, not {roles}")
    licence = item["licence"]
    return CatalogueEntry(
        name=checked_name(item["name"]),
        title=item["title"],
        sources=sources,
        licence=Licence(
            name=licence["name"],
            parts=tuple(LicencePart(**part) for part in licence["parts"]),
            text=tuple(licence["text"]),
        ),
        approximate_bytes=int(item["approximate_bytes"]),
        needs_conversion=bool(item["needs_conversion"]),
    )


def _source(item: dict[str, Any]) -> HubSource:
    revision = item["revision"]
    if revision is not None and not is_commit(revision):
        raise ValueError(f"{item['repo']}: a pinned revision has 40 hexadecimal digits")
    return HubSource(
        role=item["role"],
        repo=item["repo"],
        revision=revision,
        files=tuple(_rule(rule) for rule in item["files"]),
    )


def _rule(item: dict[str, Any]) -> FileRule:
    rule = FileRule(**item)
    pure = PurePosixPath(rule.path)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"{rule.path}: outside the repository")
    if pure.suffix.lower() in ("", *_CODE_SUFFIXES) or pure.suffix == ".*":
        raise ValueError(f"{rule.path}: could allow program code")
    if _WILDCARD.search(rule.path) and (rule.size is not None or rule.sha256 is not None):
        raise ValueError(f"{rule.path}: a pattern cannot have a size or a checksum")
    if rule.sha256 is not None and not _SHA256.fullmatch(rule.sha256):
        raise ValueError(f"{rule.path}: a checksum has 64 hexadecimal digits")
    return rule
