"""From a volume node to the model input while Slicer goes on: copied in steps, made in a thread.

Knows when the last model input still holds, so that a second question about the same volume
prepares nothing; how one is made is known by :mod:`med2e3_slicer.volumes`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from med2e3.errors import Med2E3Error
from med2e3.volume import ModelInput
from med2e3_slicer.engine import Background, Steps
from med2e3_slicer.volumes import (
    PreparationOptions,
    VolumeSnapshot,
    copy_in_steps,
    make_model_input,
)
from med2e3_slicer.volumes.node import view_volume

Size = tuple[int, int, int]
#: the model input and the seconds that reading and making it took
OnPrepared = Callable[[ModelInput, dict[str, float]], None]


class Preparer:
    """Prepares volumes and keeps the last result."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._kept: ModelInput | None = None

    def prepare(
        self,
        node: Any,
        size: Size,
        options: PreparationOptions,
        on_done: OnPrepared,
        on_error: Callable[[Med2E3Error], None],
    ) -> Preparation:
        """Begin; returns at once.

        Args:
            node: a volume node.
            size: (slices, rows, columns) of the model.
            options: the person's choices.
            on_done: called with the model input, later or at once.
            on_error: called instead when the volume cannot be used, or after `cancel`.
        """
        return Preparation(self, node, size, options, on_done, on_error)

    def find(self, key: tuple[Any, ...]) -> ModelInput | None:
        """The last model input if it was made from the same voxels in the same way."""
        return self._kept if key == self._key else None

    def keep(self, key: tuple[Any, ...], model_input: ModelInput) -> None:
        """Keep it in place of the one before."""
        self._key, self._kept = key, model_input

    def forget(self) -> None:
        """Keep nothing, such as when the scene is closed."""
        self._key, self._kept = (), None


class Preparation:
    """One preparation under way."""

    def __init__(
        self,
        preparer: Preparer,
        node: Any,
        size: Size,
        options: PreparationOptions,
        on_done: OnPrepared,
        on_error: Callable[[Med2E3Error], None],
    ) -> None:
        self._preparer = preparer
        self._size = size
        self._options = options
        self._on_done = on_done
        self._on_error = on_error
        #: whether one of the two was called
        self.is_over = False
        self._work: Steps | Background | None = None
        self._began = time.perf_counter()
        self._read_s = 0.0
        try:
            self._key = _key(node, size, options)
        except Med2E3Error as error:
            self._failed(error)
            return
        kept = preparer.find(self._key)
        if kept is not None:
            self.is_over = True
            on_done(kept, {})
            return
        self._work = Steps(copy_in_steps(node), self._copied, self._failed)

    def cancel(self) -> None:
        """Stop: `on_error` gets `Cancelled`."""
        if self._work is not None:
            self._work.cancel()

    def _copied(self, snapshot: VolumeSnapshot) -> None:
        self._read_s = time.perf_counter() - self._began

        def make(stopped: object) -> ModelInput:
            model_input = make_model_input(snapshot, self._size, self._options)
            _ = model_input.sha256  # computed here and not on the main thread
            return model_input

        self._work = Background(make, self._made, self._failed)

    def _made(self, model_input: ModelInput) -> None:
        self._preparer.keep(self._key, model_input)
        self.is_over = True
        whole = time.perf_counter() - self._began
        self._on_done(model_input, {"read": self._read_s, "prepare": whole - self._read_s})

    def _failed(self, error: Med2E3Error) -> None:
        self.is_over = True
        self._on_error(error)


def _key(node: Any, size: Size, options: PreparationOptions) -> tuple[Any, ...]:
    """What a model input depends on; the time of change of an image is unique in a process."""
    view = view_volume(node)
    return (
        node.GetImageData().GetMTime(),
        view.ijk_to_ras.tobytes(),
        view.modality,
        view.display_window,
        view.declares_hu,
        size,
        options,
    )
