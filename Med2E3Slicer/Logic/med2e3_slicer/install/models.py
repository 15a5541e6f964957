"""The models on this computer and those that can be downloaded, without dialogs.

Knows the commands that run in the engine's Python and what they print; Slicer's own Python need
not have what downloading needs. One thing at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from med2e3.errors import Cancelled, InputError, Med2E3Error, WeightsError
from med2e3.sizes import human_bytes
from med2e3_slicer import engine
from med2e3_slicer.install import uv
from med2e3_slicer.install.build import OnEnded, OnProgress
from med2e3_slicer.install.job import Job, Outcome
from med2e3_slicer.model_names import CATALOGUE, EMBEDDED

_CHILD = Path(__file__).with_name("models_child.py")
_COMMAND = Path(engine.__file__).with_name("child.py")


@dataclass(frozen=True)
class ModelRow:
    """One model: its name, title, bytes on disk, bytes to download, and licence's name."""

    name: str
    title: str
    installed: bool
    removable: bool
    bytes_on_disk: int
    download_bytes: int
    licence: str


def licence_text(name: str) -> str:
    """What a person has to accept before this model is downloaded.

    Raises:
        InputError: the catalogue has no such model.
    """
    models = json.loads(CATALOGUE.read_text(encoding="utf-8"))["models"]
    for model in models:
        if model["name"] == name:
            licence = model["licence"]
            parts = [f"• {part['what']}: {part['licence']}" for part in licence["parts"]]
            return "\n\n".join([licence["name"], "\n".join(parts), *licence["text"]])
    raise InputError(_("The catalogue has no such model."))


class ModelManager:
    """Lists, downloads and removes models.

    Args:
        python: the engine's Python.
    """

    def __init__(self, python: Path) -> None:
        self._python = str(python)
        self._job: Job | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return self._job is not None and not self._job.is_over

    def list_async(
        self, on_rows: Callable[[list[ModelRow]], None], on_failed: Callable[[Med2E3Error], None]
    ) -> None:
        """List all models; one of the two is called.

        Raises:
            InputError: something is under way.
        """

        def ended(outcome: Outcome) -> None:
            try:
                text = outcome.details
                rows = json.loads(text[text.index("{") :])["models"]
                models = [_row(row) for row in rows]
            except (ValueError, KeyError, TypeError):
                on_failed(_failed(_("The models could not be listed."), outcome))
                return
            on_rows(models)

        self._start([str(_COMMAND), "models", "list", "--json"], _ignore, ended)

    def download_async(
        self,
        name: str,
        on_progress: OnProgress,
        on_ended: OnEnded,
        *,
        accept_licence: bool = False,
        folder: Path | None = None,
    ) -> None:
        """Download a model, or continue a download that was paused.

        Args:
            name: of the catalogue.
            on_progress: called with a sentence and a fraction or None.
            on_ended: called once; with `Cancelled` when it was paused.
            accept_licence: that the person read :func:`licence_text` and accepts it.
            folder: takes the files from there, without a network.

        Raises:
            InputError: the licence was not accepted, or something is under way.
        """
        if not accept_licence:
            raise InputError(
                _("The licence was not accepted, so nothing is downloaded."),
                hint=_("Read and accept it first."),
            )
        told: dict[str, Any] = {}

        def line(text: str) -> None:
            try:
                said = json.loads(text)
            except ValueError:
                return  # a library's own words
            if not isinstance(said, dict):
                return
            if "error" in said:
                told.update(said)
            elif "stage" in said:
                on_progress(str(said["stage"]), None)
            elif said.get("total"):
                done, total = int(said["done"]), int(said["total"])
                on_progress(f"{human_bytes(done)} / {human_bytes(total)}", done / total)

        def ended(outcome: Outcome) -> None:
            if outcome.succeeded:
                on_ended(None)
            elif outcome.cancelled:
                on_ended(Cancelled(_("Paused; what was downloaded is kept.")))
            elif told:
                on_ended(
                    WeightsError(
                        str(told["error"]),
                        hint=str(told.get("hint", "")),
                        detail=str(told.get("detail", "")),
                    )
                )
            else:
                on_ended(_failed(_("The model could not be downloaded."), outcome))

        extra = [] if folder is None else [str(folder)]
        self._start([str(_CHILD), name, *extra], line, ended)

    def pause(self) -> None:
        """Stop the download; the next one continues it."""
        if self._job is not None:
            self._job.cancel()

    def remove_async(self, name: str, on_ended: OnEnded) -> None:
        """Remove a model and its unfinished downloads.

        Raises:
            InputError: something is under way.
        """

        def ended(outcome: Outcome) -> None:
            failed = _failed(_("The model could not be removed."), outcome)
            on_ended(None if outcome.succeeded else failed)

        self._start([str(_COMMAND), "models", "remove", name, "--yes"], _ignore, ended)

    def _start(
        self, arguments: list[str], line: Callable[[str], None], ended: Callable[[Outcome], None]
    ) -> None:
        if self.is_busy:
            raise InputError(
                _("Another model is being worked on."), hint=_("Wait for it or pause it.")
            )
        command = [self._python, *arguments]
        self._job = Job(command, uv.clean_environment(), line, ended)
        self._job.start()


def _ignore(_line: str) -> None:
    """Only how it ends matters."""


def _failed(sentence: str, outcome: Outcome) -> WeightsError:
    return WeightsError(sentence, hint=_("See the details."), detail=outcome.details)


def _row(row: dict[str, Any]) -> ModelRow:
    partly = not row["installed"] and bool(row["bytes_on_disk"])
    return ModelRow(
        name=row["name"],
        title=row["title"],
        installed=bool(row["installed"]),
        removable=row["name"] != EMBEDDED and (bool(row["installed"]) or partly),
        bytes_on_disk=int(row["bytes_on_disk"]),
        download_bytes=int(row["download_bytes"]),
        licence=row["licence"],
    )
