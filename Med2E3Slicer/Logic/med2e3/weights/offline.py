"""Taking a model's files from a folder instead of a hub.

Knows how to find a repository's files below a folder and to check them; only reads there.
Does not know the network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from med2e3.errors import InputError, WeightsError
from med2e3.weights.catalogue import HubSource
from med2e3.weights.digest import digest
from med2e3.weights.manifest import Origin

#: a copy of the hub's own cache has models--owner--name/snapshots/<commit>/
_DEPTH = 3


def find_source(folder: Path, source: HubSource) -> Path:
    """The folder that holds a repository's required files: ``folder`` or one below it.

    Raises:
        InputError: there is none, or more than one.
    """
    if not folder.is_dir():
        raise InputError(
            "The folder given with --from does not exist.", hint="Give a folder that holds files."
        )
    level, found = [folder], []
    for _ in range(_DEPTH + 1):
        found = [candidate for candidate in level if _holds(candidate, source)]
        if found:
            break
        level = sorted(child for parent in level for child in parent.iterdir() if child.is_dir())
    if len(found) == 1:
        return found[0]
    required = ", ".join(rule.path for rule in source.files if rule.required)
    if found:
        raise InputError(
            f"The folder holds the files of {source.repo} more than once.",
            hint="Give a folder that holds one copy.",
            detail=", ".join(path.name for path in found),
        )
    raise InputError(
        f"The folder does not hold the files of {source.repo}.",
        hint=f"It must hold, at one place: {required}.",
    )


def allowed_files(folder: Path, source: HubSource) -> list[str]:
    """Paths below ``folder``, relative to it, that belong to the source; sorted."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if source.rule_for(path) is not None)


def check_source(
    folder: Path, source: HubSource, known: Origin | None, progress: Callable[[str], None]
) -> Origin:
    """Read the files of a source and compare them with all that is known of them.

    Args:
        folder: as :func:`find_source` gives it.
        source: with the catalogue's pins.
        known: what an earlier download looked like.
        progress: told each file's path before it is read.

    Returns:
        The origin with measured checksums.  Its revision is known only when every file was
        compared with a checksum that belongs to one.

    Raises:
        WeightsError: a file is not the one that is known.
    """
    files: dict[str, dict[str, Any]] = {}
    all_pinned = source.revision is not None
    for name in allowed_files(folder, source):
        progress(name)
        path, rule = folder / name, source.rule_for(name)
        pinned = rule.sha256 if rule is not None else None
        all_pinned = all_pinned and pinned is not None
        try:
            measured = digest(path)
        except OSError as error:
            raise WeightsError(
                f"The file {name} in the folder cannot be read: {error.strerror}.",
                hint="Copy it again.",
                detail=repr(error),
            ) from error
        problem = measured.mismatch(rule.size if rule is not None else None, pinned, None)
        if not problem and known is not None and name in known.files:
            problem = measured.mismatch(**known.files[name])
        if problem:
            raise WeightsError(
                f"The file {name} in the folder {problem}, so it is refused.",
                hint="Copy it again. If it is another version on purpose, run `med2e3 models "
                "remove NAME --forget` first.",
            )
        files[name] = {"size": measured.size, "sha256": measured.sha256, "git_oid": None}
    if known is not None and known.revision is not None and set(files) >= set(known.files):
        return Origin(source.repo, known.revision, files)
    return Origin(source.repo, source.revision if all_pinned else None, files)


def _holds(folder: Path, source: HubSource) -> bool:
    names = [rule.path for rule in source.files if rule.required]
    return all(any(folder.glob(name)) for name in names)
