"""What a model looked like when it was first downloaded: trust on first use.

Knows how to remember revision, sizes and checksums of each repository's files, and how to
compare a later listing with them.  Does not know the network.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from med2e3.atomic import write_text
from med2e3.errors import WeightsError
from med2e3.weights.catalogue import HubSource
from med2e3.weights.hub import Listing, RemoteFile
from med2e3.weights.manifest import Origin


def write_origins(path: Path, origins: tuple[Origin, ...]) -> None:
    """Remember origins in a file, whole or not at all; its folder is made.

    Raises:
        InputError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"schema_version": 1, "origins": [asdict(origin) for origin in origins]}
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_origins(path: Path) -> dict[str, Origin]:
    """Remembered origins by repository id; empty when nothing is remembered.

    Raises:
        WeightsError: the file is there and cannot be understood.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        origins = [Origin(**origin) for origin in content["origins"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(
            "The record of an earlier download cannot be understood.",
            hint="Delete it with `med2e3 models remove NAME --forget`.",
            detail=repr(error),
        ) from error
    return {origin.repo: origin for origin in origins}


def as_origin(listing: Listing) -> Origin:
    """What a hub announces, in the form in which it is remembered."""
    files = {
        file.path: {"size": file.size, "sha256": file.sha256, "git_oid": file.git_oid}
        for file in listing.files
    }
    return Origin(listing.source.repo, listing.commit, files)


def with_pins(listing: Listing) -> Listing:
    """The listing with the catalogue's sizes and checksums filled in.

    They belong to the catalogue's revision, so they say nothing about another one.

    Raises:
        WeightsError: the hub announces something else, or lacks a required file.
    """
    source = listing.source
    _require_all(source, [file.path for file in listing.files])
    if source.revision not in (None, listing.commit):
        return listing
    rules = {file.path: source.rule_for(file.path) for file in listing.files}
    pinned = {
        path: {"size": rule.size, "sha256": rule.sha256} for path, rule in rules.items() if rule
    }
    catalogue = Origin(source.repo, source.revision, pinned)
    files = tuple(_agreed(file, catalogue, "this software's catalogue") for file in listing.files)
    return replace(listing, files=files)


def with_first_use(listing: Listing, known: Origin | None) -> Listing:
    """The listing with remembered checksums filled in, when it is the remembered revision.

    Raises:
        WeightsError: the hub announces other content than before under the same revision.
    """
    if known is None or known.revision not in (None, listing.commit):
        return listing
    present = {file.path for file in listing.files}
    for path in known.files:
        if path not in present and listing.source.rule_for(path) is not None:
            raise _changed(path, listing.source.repo, "the first download", "it is gone")
    files = tuple(_agreed(file, known, "the first download") for file in listing.files)
    return replace(listing, files=files)


def _require_all(source: HubSource, paths: list[str]) -> None:
    for rule in source.files:
        if rule.required and not any(rule.matches(path) for path in paths):
            raise WeightsError(
                f"The repository {source.repo} lacks the file {rule.path}, without which the "
                "model is of no use.",
                hint="Give another revision with --revision.",
            )


def _agreed(file: RemoteFile, known: Origin, who: str) -> RemoteFile:
    """``file`` completed by what is known of it."""
    expected = known.files.get(file.path, {})
    for key in ("size", "sha256", "git_oid"):
        mine, theirs = getattr(file, key), expected.get(key)
        if mine is not None and theirs is not None and mine != theirs:
            raise _changed(file.path, known.repo, who, f"{key} {mine} instead of {theirs}")
    return replace(
        file,
        sha256=file.sha256 or expected.get("sha256"),
        git_oid=file.git_oid or expected.get("git_oid"),
    )


def _changed(path: str, repo: str, who: str, detail: str) -> WeightsError:
    return WeightsError(
        f"The file {path} of {repo} is not the one known from {who}, so it is refused.",
        hint="Ask the model's authors whether they changed it. To take the newest version on "
        "purpose, run `med2e3 models download NAME --revision main`.",
        detail=detail,
    )
