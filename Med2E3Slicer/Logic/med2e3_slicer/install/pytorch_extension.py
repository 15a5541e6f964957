"""The other way to get an engine: Slicer's own Python, with PyTorch from the extension PyTorch.

Knows that extension's module PyTorchUtils and Slicer's own installer. It changes the Python that
all extensions share, so whoever calls it has asked before; nothing here runs by itself.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from med2e3.errors import Med2E3Error
from med2e3_slicer.install import uv
from med2e3_slicer.install.build import InstallError
from med2e3_slicer.install.recipe import Recipe

_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class PyTorchExtension:
    """Uses what the extension PyTorch offers.

    Args:
        recipe: what the engine needs.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    @property
    def is_installed(self) -> bool:
        """Whether Slicer has the extension."""
        return hasattr(slicer.modules, "pytorchutils")

    @property
    def packages(self) -> tuple[str, ...]:
        """What is installed besides PyTorch."""
        return tuple(line for line in self._lines() if _name(line) != "torch")

    def install(self) -> Path:
        """Install PyTorch and the other packages into Slicer's Python, and wait for it.

        Returns:
            Slicer's Python, which can run the engine then.

        Raises:
            Med2E3Error: the extension is missing, or something could not be installed.
        """
        if not self.is_installed:
            raise InstallError(
                _("Slicer does not have the extension PyTorch."),
                hint=_("Install it with the Extensions Manager and start Slicer again."),
            )
        try:
            self._install_torch()
            # one text: what Slicer's installer takes in every version
            slicer.util.pip_install("--only-binary :all: " + " ".join(self.packages))
        except Med2E3Error:
            raise
        except Exception as error:  # what pip, light-the-torch and an import of torch may raise
            raise InstallError(
                _("The packages could not be installed into Slicer's Python."),
                hint=_("See the details, or install the engine with an environment of its own."),
                detail=repr(error),
            ) from error
        return Path(uv.slicer_python())

    def _install_torch(self) -> None:
        logic_class: Any = importlib.import_module("PyTorchUtils").PyTorchUtilsLogic
        torch = next(line for line in self._lines() if _name(line) == "torch")
        if logic_class.torchInstalled():
            _check_version(torch)
            return
        installed = logic_class().installTorch(
            askConfirmation=False, torchVersionRequirement=torch.removeprefix("torch")
        )
        if installed is None:
            raise InstallError(_("The extension PyTorch did not install PyTorch."))

    def _lines(self) -> list[str]:
        text = self._recipe.requirements.read_text(encoding="utf-8")
        return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


def _check_version(requirement: str) -> None:
    """Refuse a PyTorch that is there already and does not fit; others may need the one there is.

    Raises:
        InstallError: it is another version than the engine needs.
    """
    try:
        from packaging.requirements import Requirement  # noqa: PLC0415
    except ImportError:  # Slicer's Python has it; should it not, the engine itself will tell
        return
    wanted = Requirement(requirement)
    there = importlib.metadata.version(wanted.name)
    if not wanted.specifier.contains(there, prereleases=True):
        raise InstallError(
            _("Slicer's Python has PyTorch {there}; the engine needs {wanted}.").format(
                there=there, wanted=requirement
            ),
            hint=_(
                "Replace it in the module PyTorch Utils, or install the engine with an "
                "environment of its own."
            ),
        )


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    return found[0].lower() if found else ""
