"""Modal dialogs in tests: recorded, answered by the test, never waited for.

Knows: ``exec_`` of dialogs, and Qt's static questions (messages, file choices).  Does not know:
which answer is right; a dialog that no test answered is closed as with Esc and recorded as a
problem.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6 import QtWidgets

from .problems import PROBLEMS

#: what a test gives: the dialog is shown to it; it returns the result of ``exec_``
Answer = Callable[[Any], Any]


class Dialogs:
    """The dialogs of one test, and the answers it prepared."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        #: one line for each dialog that opened: its class, title and text
        self.opened: list[str] = []

    def answer(self, *answers: Any) -> None:
        """Prepare answers, used in order: a function of the dialog, or the value to return."""
        for each in answers:
            self.answers.append(each if callable(each) else lambda _dialog, value=each: value)

    def run(self, dialog: Any, description: str, otherwise: Any) -> Any:
        """Take the next answer for a dialog that opens now."""
        self.opened.append(description)
        if not self.answers:
            PROBLEMS.add(f"A dialog opened that the test does not answer: {description}")
            return otherwise
        return self.answers.pop(0)(dialog)

    def clear(self) -> None:
        """Forget answers and what was opened."""
        if self.answers:
            PROBLEMS.add(f"{len(self.answers)} prepared answers were not asked for")
        self.answers.clear()
        self.opened.clear()


DIALOGS = Dialogs()


def _describe(dialog: Any) -> str:
    words = [type(dialog).__name__, str(dialog.windowTitle)]
    if isinstance(dialog, QtWidgets.QMessageBox):
        words += [str(dialog.text), str(dialog.informativeText), str(dialog.detailedText)]
    return ": ".join(word for word in words if word)


def _exec(self: Any) -> Any:
    self.show()
    try:
        cancel = QtWidgets.QMessageBox.StandardButton.Cancel
        otherwise = cancel if isinstance(self, QtWidgets.QMessageBox) else 0
        result = DIALOGS.run(self, _describe(self), otherwise)
    finally:
        self.hide()
    return result


def _static(description: str, otherwise: Any) -> Any:
    def ask(*arguments: Any) -> Any:
        text = "; ".join(str(each) for each in arguments if isinstance(each, str))
        return DIALOGS.run(None, f"{description}: {text}", otherwise)

    return staticmethod(ask)


def patch() -> None:
    """Route every modal dialog to ``DIALOGS``."""
    dialog: Any = QtWidgets.QDialog
    dialog.exec_ = _exec
    dialog.exec = _exec
    for cls in (QtWidgets.QMessageBox, QtWidgets.QFileDialog, QtWidgets.QInputDialog):
        target: Any = cls
        for name in ("exec", "exec_"):
            if name in target.__dict__:
                setattr(target, name, _exec)
    box: Any = QtWidgets.QMessageBox
    for name in ("information", "warning", "critical", "question"):
        setattr(box, name, _static(f"QMessageBox.{name}", box.StandardButton.Cancel))
    files: Any = QtWidgets.QFileDialog
    for name, nothing in (
        ("getOpenFileName", ""),
        ("getSaveFileName", ""),
        ("getExistingDirectory", ""),
        ("getOpenFileNames", ()),
    ):
        setattr(files, name, _static(f"QFileDialog.{name}", nothing))
    asked: Any = QtWidgets.QInputDialog
    for name in ("getText", "getItem", "getInt", "getDouble", "getMultiLineText"):
        setattr(asked, name, _static(f"QInputDialog.{name}", ""))
