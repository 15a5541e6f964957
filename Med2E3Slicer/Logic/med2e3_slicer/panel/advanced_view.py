"""The section "Advanced": how the volume is prepared, how words are chosen, where it runs.

Knows widgets and which choices exist; keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from med2e3.devices import AUTO, DEVICE_NAMES, PRECISION_NAMES
from med2e3.volume import PLANES, PRESETS, SLICE_ORDERS


@dataclass(frozen=True)
class AdvancedActions:
    """What the panel does when a person changes something here."""

    changed: Callable[[], None]
    unload: Callable[[], None]
    set_up: Callable[[], None]


@dataclass(frozen=True)
class SceneChoices:
    """What belongs to the scene."""

    window: str = "display"
    plane: str = "axial"
    slice_order: str = "standard"
    max_new_tokens: int = 256
    temperature: float = 0.0
    seed: int = -1


@dataclass(frozen=True)
class MachineChoices:
    """What belongs to this computer, and never to a scene."""

    device: str = AUTO
    precision: str = AUTO
    remote: bool = False
    address: str = ""
    token: str = ""


class AdvancedView:
    """The section "Advanced".

    Args:
        ui: names of its widgets.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._actions: AdvancedActions | None = None
        self._quiet = False
        for combo, items in self._combos().items():
            for key, title in items:
                getattr(ui, combo).addItem(title, key)
            getattr(ui, combo).connect("currentIndexChanged(int)", self._on_change)
        ui.windowSelector.lineEdit().connect("editingFinished()", self._on_change)
        for spin in (ui.lengthSpinBox, ui.seedSpinBox):
            spin.connect("valueChanged(int)", self._on_change)
        ui.temperatureSpinBox.connect("valueChanged(double)", self._on_change)
        ui.remoteCheckBox.connect("toggled(bool)", self._on_change)
        for edit in (ui.addressEdit, ui.tokenEdit):
            edit.connect("editingFinished()", self._on_change)
        self._enable()

    def bind(self, actions: AdvancedActions) -> None:
        """Tell what changes lead to."""
        self._actions = actions
        self._ui.unloadButton.connect("clicked()", actions.unload)
        self._ui.setUpButton.connect("clicked()", actions.set_up)

    @property
    def scene_choices(self) -> SceneChoices:
        """As they are shown now."""
        ui = self._ui
        return SceneChoices(
            self._window(),
            self._key(ui.planeSelector),
            self._key(ui.sliceOrderSelector),
            ui.lengthSpinBox.value,
            round(ui.temperatureSpinBox.value, 1),
            ui.seedSpinBox.value,
        )

    @property
    def machine_choices(self) -> MachineChoices:
        """As they are shown now."""
        ui = self._ui
        return MachineChoices(
            self._key(ui.deviceSelector),
            self._key(ui.precisionSelector),
            ui.remoteCheckBox.checked,
            ui.addressEdit.text.strip(),
            ui.tokenEdit.text,
        )

    def show_scene_choices(self, choices: SceneChoices) -> None:
        """Show what the scene holds, without telling anybody."""
        ui = self._ui
        self._quiet = True
        index = ui.windowSelector.findData(choices.window)
        if index >= 0:
            ui.windowSelector.currentIndex = index
        else:
            ui.windowSelector.setEditText(choices.window)
        self._choose(ui.planeSelector, choices.plane)
        self._choose(ui.sliceOrderSelector, choices.slice_order)
        ui.lengthSpinBox.value = choices.max_new_tokens
        ui.temperatureSpinBox.value = choices.temperature
        ui.seedSpinBox.value = choices.seed
        self._quiet = False
        self._enable()

    def show_machine_choices(self, choices: MachineChoices) -> None:
        """Show what this computer's settings hold, without telling anybody."""
        ui = self._ui
        self._quiet = True
        self._choose(ui.deviceSelector, choices.device)
        self._choose(ui.precisionSelector, choices.precision)
        ui.remoteCheckBox.checked = choices.remote
        ui.addressEdit.text = choices.address
        ui.tokenEdit.text = choices.token
        self._quiet = False
        self._enable()

    def enable(self, idle: bool, loaded: bool) -> None:
        """While a question is answered nothing here can be changed."""
        self._ui.Advanced.enabled = idle
        self._ui.unloadButton.enabled = idle and loaded

    # ---- inside --------------------------------------------------------------------------

    def _on_change(self) -> None:
        self._enable()
        if self._actions and not self._quiet:
            self._actions.changed()

    def _enable(self) -> None:
        ui = self._ui
        remote = ui.remoteCheckBox.checked
        for widget in (ui.addressLabel, ui.addressEdit, ui.tokenLabel, ui.tokenEdit):
            widget.visible = remote
        for widget in (ui.deviceLabel, ui.deviceSelector, ui.precisionLabel, ui.precisionSelector):
            widget.enabled = not remote
        draws = ui.temperatureSpinBox.value > 0
        ui.seedLabel.enabled = ui.seedSpinBox.enabled = draws

    def _window(self) -> str:
        combo = self._ui.windowSelector
        text = combo.currentText.strip()
        index = combo.findText(text)
        return str(combo.itemData(index)) if index >= 0 else text

    @staticmethod
    def _key(combo: Any) -> str:
        return str(combo.itemData(combo.currentIndex))

    @staticmethod
    def _choose(combo: Any, key: str) -> None:
        combo.currentIndex = max(0, combo.findData(key))

    @staticmethod
    def _combos() -> dict[str, list[tuple[str, str]]]:
        windows = {
            "soft-tissue": _("Soft tissue"), "lung": _("Lung"), "bone": _("Bone"),
            "brain": _("Brain"), "mediastinum": _("Mediastinum"), "liver": _("Liver"),
        }  # fmt: skip
        planes = {
            "axial": _("Axial"), "sagittal": _("Sagittal"), "coronal": _("Coronal"),
            "native": _("As acquired"),
        }  # fmt: skip
        orders = {
            "standard": _("Standard"), "reversed": _("Reversed"), "file": _("As in the file"),
        }  # fmt: skip
        devices = {"cuda": _("NVIDIA GPU (CUDA)"), "mps": _("Apple GPU (MPS)"), "cpu": _("CPU")}
        precisions = {
            "float32": _("32 bit (float32)"), "bfloat16": _("16 bit (bfloat16)"),
            "float16": _("16 bit (float16)"), "int8": _("8 bit (int8)"),
            "int4": _("4 bit (int4)"),
        }  # fmt: skip
        automatic = (AUTO, _("Automatic"))
        return {
            "windowSelector": [
                ("display", _("As displayed")),
                *(
                    (key, f"{windows.get(key, key)} ({c:g}, {w:g})")
                    for key, (c, w) in PRESETS.items()
                ),
                ("full", _("Full range")),
            ],
            "planeSelector": [
                (key, planes.get(key, key)) for key in sorted(PLANES, key=_order(planes))
            ],
            "sliceOrderSelector": [(key, orders.get(key, key)) for key in SLICE_ORDERS],
            "deviceSelector": [automatic, *((key, devices.get(key, key)) for key in DEVICE_NAMES)],
            "precisionSelector": [
                automatic,
                *((key, precisions.get(key, key)) for key in PRECISION_NAMES),
            ],
        }


def _order(titles: dict[str, str]) -> Callable[[str], int]:
    names = list(titles)
    return lambda key: names.index(key) if key in names else len(names)
