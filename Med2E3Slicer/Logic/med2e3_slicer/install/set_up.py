"""The set-up as a script calls it: check, build, cancel, count, remove. Shows no dialog.

Knows which of these can happen at the same time and what must hold before a build; the steps of a
build are known by :mod:`med2e3_slicer.install.build`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import qt
from slicer.i18n import tr as _

from med2e3.errors import InputError, Med2E3Error, ResourceError
from med2e3_slicer.install import checks, measuring, uv
from med2e3_slicer.install.build import (
    Build,
    InstallError,
    OnEnded,
    OnProgress,
    folder_command,
)
from med2e3_slicer.install.job import Job, Outcome
from med2e3_slicer.install.places import Places, default_root
from med2e3_slicer.install.recipe import Recipe
from med2e3_slicer.install.stamp import EnvironmentState, environment_state

_Result = TypeVar("_Result")

_ASK_GPU = ("--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class FolderSize:
    """A folder, and what is in it."""

    folder: Path
    files: int
    bytes: int


def _quiet(_sentence: str, _fraction: float | None) -> None:
    """Tell nobody."""


class SetUp:
    """The engine's environment in one folder.

    Methods whose names end in ``_async`` return at once and call back in Slicer's event loop; the
    others wait for that while Slicer stays alive.

    Args:
        root: the folder; by default beside the models.
        recipe: what the environment holds.
    """

    def __init__(self, root: Path | None = None, recipe: Recipe | None = None) -> None:
        self.places = Places(root or default_root())
        self.recipe = recipe or Recipe()
        self._build: Build | None = None
        self._jobs: list[Job] = []

    @property
    def state(self) -> EnvironmentState:
        """What there is of the environment."""
        return environment_state(self.places, self.recipe)

    @property
    def python(self) -> Path | None:
        """The engine's Python; None until the environment is complete."""
        ready = self.state in (EnvironmentState.READY, EnvironmentState.OUTDATED)
        return self.places.python if ready else None

    @property
    def is_busy(self) -> bool:
        """Whether a build or a removal is under way."""
        building = self._build is not None and not self._build.is_over
        return building or any(not job.is_over for job in self._jobs)

    @property
    def needs_uv(self) -> bool:
        """Whether uv has to be put into the folder first."""
        return uv.find_uv(self.places) is None

    # ---- checks ------------------------------------------------------------------------------

    def check(self) -> list[checks.Check]:
        """Look at this computer and wait for it; see :meth:`check_async`."""
        return _result_of(self.check_async)

    def check_async(self, on_done: Callable[[list[checks.Check]], None]) -> None:
        """Look at GPU, memory, disk, path and proxy; changes nothing."""

        def asked(outcome: Outcome) -> None:
            gpus = checks.parse_gpus(outcome.details) if outcome.succeeded else None
            on_done([checks.check_gpu(gpus), *self._quick_checks()])

        program = shutil.which("nvidia-smi")
        if program is None:
            on_done([checks.check_gpu(None), *self._quick_checks()])
            return
        self._run([program, *_ASK_GPU], asked)

    def _quick_checks(self) -> list[checks.Check]:
        root = self.places.root
        return [
            checks.check_memory(measuring.total_memory()),
            checks.check_disk(measuring.free_disk(root), self.recipe.disk_bytes),
            checks.check_path(root, sys.platform),
            checks.check_proxy(os.environ),
        ]

    # ---- building ----------------------------------------------------------------------------

    def build(
        self,
        *,
        offline: str | Path | None = None,
        get_uv: bool = False,
        on_progress: OnProgress = _quiet,
    ) -> Path:
        """Build the environment and wait for it; see :meth:`build_async`.

        Returns:
            The engine's Python.

        Raises:
            Med2E3Error: it could not be built, or was cancelled.
        """
        error = _result_of(
            partial(self.build_async, offline=offline, get_uv=get_uv, on_progress=on_progress)
        )
        if error is not None:
            raise error
        return self.places.python

    def build_async(
        self,
        on_ended: OnEnded,
        *,
        offline: str | Path | None = None,
        get_uv: bool = False,
        on_progress: OnProgress = _quiet,
    ) -> None:
        """Build the environment, or continue what was interrupted.

        Args:
            on_ended: called once, with None or with what happened.
            offline: a folder of wheels to install from, without a network.
            get_uv: allows putting uv into the folder when this computer has none; nothing is
                installed into Slicer's own Python in any case.
            on_progress: called with a sentence and a fraction or None.

        Raises:
            InputError: something is under way already, or the offline folder holds no wheels.
            ResourceError: the disk is too small, or a path would be too long.
        """
        if self.is_busy:
            raise InputError(_("The set-up is busy already."), hint=_("Wait for it or cancel it."))
        folder = None if offline is None else Path(offline).expanduser()
        if folder is not None and not (folder.is_dir() and any(folder.glob("*.whl"))):
            raise InputError(
                _("The chosen folder holds no packages (files ending in .whl)."),
                hint=_("Choose the folder into which the packages were downloaded."),
            )
        for check in self._quick_checks():
            if check.level is checks.Level.STOP:
                raise ResourceError(check.sentence)
        self._build = Build(self.places, self.recipe, folder, get_uv, on_progress, on_ended)
        self._build.start()

    def cancel(self) -> None:
        """Stop the build; what was downloaded is kept, and the next build continues."""
        if self._build is not None:
            self._build.cancel()

    # ---- disk --------------------------------------------------------------------------------

    def count_async(
        self,
        on_counted: Callable[[list[FolderSize]], None],
        on_failed: Callable[[Med2E3Error], None],
    ) -> None:
        """Count what :meth:`remove_async` would remove, one entry for each folder that exists."""
        folders = [folder for folder in self.places.removable if folder.exists()]

        def counted(outcome: Outcome) -> None:
            words = outcome.details.split()
            if not outcome.succeeded or len(words) != 2 * len(folders):
                on_failed(
                    InstallError(_("The files could not be counted."), detail=outcome.details)
                )
                return
            numbers = zip(map(int, words[::2]), map(int, words[1::2]), strict=True)
            on_counted([
                FolderSize(folder, files, size)
                for folder, (files, size) in zip(folders, numbers, strict=True)
            ])  # fmt: skip

        self._run(folder_command("count", *folders), counted)

    def remove(self) -> None:
        """Remove the folder and wait for it.

        Raises:
            Med2E3Error: not all of it could be removed.
        """
        error = _result_of(self.remove_async)
        if error is not None:
            raise error

    def remove_async(self, on_ended: OnEnded) -> None:
        """Remove the environment, its downloads and uv; models stay. End the engine first.

        Raises:
            InputError: a build is under way.
        """
        if self.is_busy:
            raise InputError(_("The set-up is busy."), hint=_("Cancel it first."))
        self.places.stamp.unlink(missing_ok=True)  # half removed is not complete

        def removed(outcome: Outcome) -> None:
            on_ended(
                None
                if outcome.succeeded
                else InstallError(
                    _("Not all files of the engine could be removed."),
                    hint=_("End the engine and other programs that use them, then remove again."),
                    detail=outcome.details,
                )
            )

        self._run(folder_command("remove", *self.places.removable), removed)

    def close(self) -> None:
        """End everything that was started; for Slicer's exit."""
        self.cancel()
        for job in self._jobs:
            job.cancel()

    # ---- inside ------------------------------------------------------------------------------

    def _run(self, command: list[str], on_ended: Callable[[Outcome], None]) -> None:
        self._jobs = [job for job in self._jobs if not job.is_over]
        job = Job(command, uv.clean_environment(), lambda _line: None, on_ended)
        self._jobs.append(job)
        job.start()


def _result_of(begin: Callable[[Callable[[_Result], None]], None]) -> _Result:
    """Begin something that tells its result later, and wait for it while Qt goes on."""
    loop = qt.QEventLoop()
    results: list[_Result] = []

    def end(result: _Result) -> None:
        results.append(result)
        loop.quit()

    begin(end)
    if not results:
        loop.exec_()
    return results[0]
