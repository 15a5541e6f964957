"""The page: what it shows, and the models in the engine's own Python."""

from __future__ import annotations

import os
import re
import sys
import types
from pathlib import Path

import pytest

from install_kit import PATIENCE_S, make_wheel, tiny_set_up


class Logic:
    """Remembers what the page tells the module's logic."""

    def __init__(self):
        self.python = None
        self.ended = self.changes = 0
        self.engine = self

    def use_local(self, *, python, keep):
        assert keep
        self.python = python

    def forget_local(self, python):
        assert python == self.python
        self.python = None

    def stop(self):
        self.ended += 1

    def changed(self):
        self.changes += 1


@pytest.fixture
def logic():
    return Logic()


@pytest.fixture
def page(application, tmp_path, logic, monkeypatch):
    from med2e3_slicer.install import open_set_up, opening

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MED2E3_HOME", str(tmp_path / "home"))
    yield open_set_up(logic, tiny_set_up(tmp_path, "tinylung"), logic.changed)
    opening.close_set_up()
    application.process()


def _picture(application, page, name):
    application.process()
    folder = Path(os.environ.get("MED2E3_SCREENSHOTS", Path(__file__).parent / "screenshots"))
    page.widget.window().grab().save(str(folder / f"{name}.png"))


def test_it_is_hidden_and_comes_back_as_it_was(application, page, logic):
    from med2e3_slicer.install import open_set_up

    window = page.widget.window()
    application.click(page.ui.closeButton)
    assert not window.isVisible()
    assert open_set_up(logic) is page
    assert window.isVisible()


def test_it_is_installed_by_one_button(application, tmp_path, page, logic):
    application.wait_until(lambda: "memory" in page.ui.checksLabel.text, PATIENCE_S)
    assert page.ui.buildButton.text == "Install the engine"
    assert not page.ui.modelsGroup.isVisible()
    _picture(application, page, "set-up-first")
    application.click(page.ui.offlineCheckBox)
    application.click(page.ui.buildButton)
    assert "holds no packages" in page.ui.errorLabel.text
    _picture(application, page, "set-up-wrong-folder")
    make_wheel(tmp_path / "wheels", "tinylung", "SLICES = 32\n")
    page.ui.folderEdit.text = str(tmp_path / "wheels")
    application.click(page.ui.buildButton)
    assert page.ui.cancelButton.isVisible()
    assert not page.ui.buildButton.enabled
    application.wait_until(lambda: logic.python is not None, PATIENCE_S)
    assert page.ui.stateLabel.text == "The engine is installed."
    assert logic.ended
    assert logic.changes == 1

    # remove it: each folder is named with its size before anything is removed
    application.dialogs.answer(application.qt.QMessageBox.Cancel)
    application.click(page.ui.removeButton)
    application.wait_until(lambda: application.dialogs.opened, PATIENCE_S)
    said = application.dialogs.opened[-1]
    assert str(page.set_up.places.root) in said
    assert re.search(r"\nenv: \d+ files, [\d.]+ [kM]B", said)
    assert logic.python.is_file()
    application.dialogs.answer(application.qt.QMessageBox.Ok)
    application.click(page.ui.removeButton)
    application.wait_until(lambda: logic.python is None, PATIENCE_S)
    assert page.ui.stateLabel.text == "The engine is not installed."
    assert not page.set_up.places.environment.exists()
    assert logic.changes == 2


def test_models_are_listed_and_no_licence_is_accepted_by_itself(application, page):
    page.ui.modelsGroup.show()
    page.models.use(Path(sys.executable))  # an environment that has everything
    application.wait_until(lambda: page.ui.modelSelector.count == 2, PATIENCE_S)
    assert page.ui.modelSelector.currentText == "med2e3-m3d"
    assert "Apache-2.0" in page.ui.licenceText.toPlainText()
    assert not page.ui.downloadButton.enabled
    page.ui.acceptCheckBox.checked = True
    assert page.ui.downloadButton.enabled
    _picture(application, page, "set-up-models")


def test_a_model_from_a_wrong_folder_is_told(application, tmp_path, page):
    from med2e3_slicer.install import ModelManager

    manager = ModelManager(Path(sys.executable))
    with pytest.raises(Exception, match="not accepted"):
        manager.download_async("med2e3-m3d", print, print)
    (tmp_path / "empty").mkdir()
    ends = []
    manager.download_async(
        "med2e3-m3d", lambda *_: None, ends.append, accept_licence=True, folder=tmp_path / "empty"
    )
    application.wait_until(lambda: ends, PATIENCE_S)
    assert ends[0].code in ("weights", "bad-input")
    assert "could not be downloaded" not in ends[0].sentence  # the reason, in its own words


def test_the_pytorch_extension_is_explained_where_it_is_missing(application, page, logic):
    application.dialogs.answer(application.qt.QMessageBox.Ok)
    application.click(page.ui.pytorchButton)
    assert "Extensions Manager" in application.dialogs.opened[-1]
    assert logic.python is None


def test_the_pytorch_extension_is_used_only_after_asking(application, page, logic, monkeypatch):
    asked = []

    class PyTorchUtilsLogic:
        """As much of the extension's logic as is used; the extension itself is not here."""

        @staticmethod
        def torchInstalled():
            return False

        def installTorch(self, askConfirmation, torchVersionRequirement):
            asked.append((askConfirmation, torchVersionRequirement))
            return types

    extension = types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    monkeypatch.setattr(application.slicer.modules, "pytorchutils", extension, raising=False)
    from slicer import packaging

    packaging.calls.clear()
    page.set_up.recipe.requirements.write_text("torch>=2.6\ntinylung>=1,<2\n", encoding="utf-8")

    application.dialogs.answer(application.qt.QMessageBox.Cancel)
    application.click(page.ui.pytorchButton)
    assert "tinylung>=1,<2" in application.dialogs.opened[-1]
    assert not asked
    assert not packaging.calls
    application.dialogs.answer(application.qt.QMessageBox.Ok)
    application.click(page.ui.pytorchButton)
    assert asked == [(False, ">=2.6")]
    (call,) = packaging.calls
    assert call[1] == "--only-binary :all: tinylung>=1,<2"
    assert logic.python == Path(sys.executable)
    assert logic.changes == 1


def test_a_pytorch_that_is_too_old_is_not_touched(application, page, logic, monkeypatch):
    import importlib.metadata

    utils = types.SimpleNamespace(torchInstalled=lambda: True)
    extension = types.SimpleNamespace(PyTorchUtilsLogic=utils)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    monkeypatch.setattr(application.slicer.modules, "pytorchutils", extension, raising=False)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.5.1+cu124")
    from slicer import packaging

    packaging.calls.clear()
    page.set_up.recipe.requirements.write_text("torch>=2.6\n", encoding="utf-8")
    application.dialogs.answer(application.qt.QMessageBox.Ok)
    application.click(page.ui.pytorchButton)
    assert "2.5.1+cu124" in page.ui.errorLabel.text
    assert not packaging.calls
    assert logic.python is None
