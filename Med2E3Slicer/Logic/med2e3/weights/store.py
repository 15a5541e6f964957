"""Where installed models live on this computer.

Knows the folders of the store and their names; does not know what a model is, where it comes
from, or how it is checked.

    <store>/models/<name>/          an installed model; complete, or not there at all
    <store>/partial/<name>/         an unfinished download, continued by the next one
    <store>/first-use/<name>.json   what the first download of this model looked like
    <store>/locks/<name>.lock       held while one process downloads or removes this model
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from med2e3.errors import InputError, ResourceError, WeightsError

#: file in every installed model's folder that tells what was installed
MANIFEST_NAME = "install.json"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def store_dir() -> Path:
    """The folder in which models are kept for this user; it may not exist yet.

    ``MED2E3_HOME`` when it is set, else the platform's folder for a user's application data.
    """
    chosen = os.environ.get("MED2E3_HOME")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "med2e3"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "med2e3"
    data = os.environ.get("XDG_DATA_HOME")
    # The XDG specification says that a relative path here is invalid and must be ignored.
    if data and Path(data).is_absolute():
        return Path(data) / "med2e3"
    return Path.home() / ".local" / "share" / "med2e3"


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below ``folder``; 0 when it does not exist."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Store:
    """The folders of one store.

    Args:
        root: as :func:`store_dir` gives it.
    """

    root: Path

    def model(self, name: str) -> Path:
        """Folder of an installed model."""
        return self.root / "models" / checked_name(name)

    def partial(self, name: str) -> Path:
        """Folder of an unfinished download."""
        return self.root / "partial" / checked_name(name)

    def first_use(self, name: str) -> Path:
        """File that remembers what the first download of a model looked like."""
        return self.root / "first-use" / f"{checked_name(name)}.json"

    def is_installed(self, name: str) -> bool:
        """Whether the model is here; its manifest is written before it gets its name."""
        return (self.model(name) / MANIFEST_NAME).is_file()

    def installed_names(self) -> list[str]:
        """Names of all installed models, sorted."""
        models = self.root / "models"
        if not models.is_dir():
            return []
        found = [path.name for path in models.iterdir() if (path / MANIFEST_NAME).is_file()]
        return sorted(name for name in found if _NAME.fullmatch(name))

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a model for this process alone; freed by the system when the process ends.

        Raises:
            WeightsError: another process holds it, or the store cannot be written.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415 (Slicer's Python lacks it)

        path = self.root / "locks" / f"{checked_name(name)}.lock"
        lock = FileLock(path, timeout=0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise WeightsError(
                f"Another program is downloading or removing the model {name!r} right now.",
                hint="Wait until it has finished, then run the command again.",
            ) from error
        except OSError as error:
            raise disk_error(error) from error
        try:
            yield
        finally:
            lock.release()

    def drop_partial(self, name: str) -> None:
        """Delete what an unfinished or just finished download left over.

        Raises:
            WeightsError: a file cannot be deleted.
        """
        try:
            if self.partial(name).exists():
                shutil.rmtree(self.partial(name))
        except OSError as error:
            raise disk_error(error) from error

    def remove(self, name: str, *, forget: bool = False) -> int:
        """Delete an installed model and its unfinished download; give the bytes freed.

        Args:
            name: the model.
            forget: also delete what its first download looked like; without this a later
                download of the same model gets the same files or is refused.

        Raises:
            InputError: neither is there.
            WeightsError: another process holds the model, or a file cannot be deleted.
        """
        model, partial = self.model(name), self.partial(name)
        known = model.exists() or partial.exists() or (forget and self.first_use(name).exists())
        if not known:
            raise InputError(
                f"The model {name!r} is not installed.",
                hint="See `med2e3 models list` for what is.",
            )
        with self.locked(name):
            freed = folder_bytes(model) + folder_bytes(partial)
            try:
                # Without its manifest a model counts as not installed, so a removal that is cut
                # short never leaves half a model under the name of a whole one.
                (model / MANIFEST_NAME).unlink(missing_ok=True)
                for folder in (model, partial):
                    if folder.exists():
                        shutil.rmtree(folder)
                if forget:
                    self.first_use(name).unlink(missing_ok=True)
            except OSError as error:
                raise WeightsError(
                    f"The model {name!r} could not be removed completely: {error.strerror}.",
                    hint="Close the programs that use it, then run the command again.",
                    detail=repr(error),
                ) from error
        return freed


def checked_name(name: str) -> str:
    """``name`` itself when it can name a model (and so a folder).

    Raises:
        InputError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be the name of a model.",
            hint="See `med2e3 models list` for the names.",
        )
    return name


def disk_error(error: OSError) -> WeightsError | ResourceError:
    """The sentence for a file of the store that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(
            "The disk is full, so the work stopped.",
            hint="Free some space and run the command again; what was downloaded is kept.",
            detail=repr(error),
        )
    return WeightsError(
        f"The folder for models cannot be written: {error.strerror or 'no permission'}.",
        hint="Set MED2E3_HOME to a folder that you may write to.",
        detail=repr(error),
    )
