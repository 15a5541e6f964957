"""Builds the environment, step by step.

Knows the order of the steps, and what is kept when one of them is cancelled or fails: the
downloads are (uv's cache), a half-made environment is not. Does not know checks, dialogs or
settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from slicer.i18n import tr as _

from med2e3.errors import Cancelled, InputError, Med2E3Error
from med2e3_slicer.install import uv
from med2e3_slicer.install.job import Job, Outcome
from med2e3_slicer.install.places import Places
from med2e3_slicer.install.progress import InstallProgress
from med2e3_slicer.install.recipe import Recipe
from med2e3_slicer.install.stamp import write_stamp

_FOLDER_CHILD = str(Path(__file__).with_name("folder_child.py"))

OnProgress = Callable[[str, "float | None"], None]
OnEnded = Callable[["Med2E3Error | None"], None]


class InstallError(Med2E3Error):
    """The environment could not be built."""

    code = "install"


def folder_command(what: str, *folders: Path) -> list[str]:
    """``count`` or ``remove`` folders beside Slicer, since there can be many files."""
    return [uv.slicer_python(), _FOLDER_CHILD, what, *map(str, folders)]


class Build:
    """One build, from beginning to end; another try is another object.

    Args:
        places: where.
        recipe: what.
        offline: a folder of wheels; None for PyPI and PyTorch's own server.
        get_uv: whether uv may be put into our own folder when this computer has none.
        on_progress: called with a sentence and a fraction (None while it is not known).
        on_ended: called once: with None when the environment is complete.
    """

    def __init__(
        self,
        places: Places,
        recipe: Recipe,
        offline: Path | None,
        get_uv: bool,
        on_progress: OnProgress,
        on_ended: OnEnded,
    ) -> None:
        self._places = places
        self._recipe = recipe
        self._offline = offline
        self._get_uv = get_uv
        self._on_progress = on_progress
        self._on_ended: OnEnded | None = on_ended
        self._job: Job | None = None
        self._progress = InstallProgress()

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._on_ended is None

    def start(self) -> None:
        """Begin; returns at once."""
        try:
            self._places.root.mkdir(parents=True, exist_ok=True)
            self._places.stamp.unlink(missing_ok=True)
        except OSError as error:
            self._end(
                InstallError(
                    _("The folder for the engine cannot be written."),
                    hint=_("Choose another one by the variable MED2E3_HOME."),
                    detail=repr(error),
                )
            )
            return
        if uv.find_uv(self._places) is not None:
            self._make_environment()
        elif self._get_uv:
            self._run(
                _("Getting uv"), uv.get_uv(self._places, self._offline), self._make_environment
            )
        else:
            self._end(
                InputError(
                    _("The installer uv is not on this computer."),
                    hint=_("Allow that it is put into the engine's folder."),
                )
            )

    def cancel(self) -> None:
        """Stop; what was downloaded is kept for the next build."""
        if self._job is not None:
            self._job.cancel()

    def _make_environment(self) -> None:
        program = uv.find_uv(self._places)
        if program is None:
            self._end(InstallError(_("uv was installed but its program is missing.")))
            return

        def install() -> None:
            command = uv.install_packages(program, self._places, self._recipe, self._offline)
            self._run(_("Installing packages"), command, self._prove)

        self._run(
            _("Making the environment"),
            uv.make_environment(program, self._places, self._recipe.python, self._offline),
            install,
        )

    def _prove(self) -> None:
        command = uv.prove(self._places, self._recipe)
        self._run(_("Trying the packages"), command, self._tidy)

    def _tidy(self) -> None:
        command = folder_command("remove", self._places.cache)
        self._run(_("Removing downloads"), command, self._finish)

    def _finish(self) -> None:
        try:
            write_stamp(self._places, self._recipe)
        except Med2E3Error as error:
            self._end(error)
            return
        self._end(None)

    def _run(self, step: str, command: Sequence[str], then: Callable[[], None]) -> None:
        def ended(outcome: Outcome) -> None:
            if outcome.succeeded:
                then()
            elif outcome.cancelled:
                self._end(Cancelled())
            else:
                self._end(_failure(step, outcome, self._offline is not None))

        self._on_progress(step, None)
        self._job = Job(command, uv.uv_environment(self._places), self._line, ended)
        self._job.start()

    def _line(self, line: str) -> None:
        sentence = self._progress.feed(line)
        self._on_progress(sentence, self._progress.fraction)

    def _end(self, error: Med2E3Error | None) -> None:
        on_ended, self._on_ended = self._on_ended, None
        if on_ended is not None:
            on_ended(error)


def _failure(step: str, outcome: Outcome, offline: bool) -> InstallError:
    said = outcome.details.lower()
    if "no space left" in said or "os error 112" in said or "not enough space" in said:
        why, hint = _("the disk is full"), _("Free some disk, then build again.")
    elif offline and ("no solution found" in said or "no matching distribution" in said):
        why = _("the folder lacks packages")
        hint = _("See the details for which; put their wheels into the folder.")
    elif "no interpreter found" in said:
        why = _("no Python that fits was found")
        hint = _("Install Python 3.12 from python.org, then build again.")
    elif any(word in said for word in ("dns error", "failed to fetch", "connect", "timed out")):
        why = _("the server cannot be reached")
        hint = _("Check the network and HTTPS_PROXY, or install from a folder.")
    else:
        why = _("it failed")
        hint = _("See the details; build again to continue with what was downloaded.")
    return InstallError(
        _("{step}: {why}.").format(step=step, why=why), hint=hint, detail=outcome.details
    )
