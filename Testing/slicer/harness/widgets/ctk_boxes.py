"""CTK's containers and messages: collapsible parts, the message box, the fitted text.

Knows: Qt.  Does not know: MRML.  Heights are not animated.
"""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from ..pythonqt import cpp_class


@cpp_class
class ctkCollapsibleButton(QtWidgets.QWidget):
    """A titled part that folds."""

    contentsCollapsed = QtCore.Signal(bool)
    toggled = QtCore.Signal(bool)
    clicked = QtCore.Signal(bool)

    def __init__(self, *arguments: Any) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        parent = arguments[-1] if arguments and not isinstance(arguments[-1], str) else None
        super().__init__(parent)
        self._header = QtWidgets.QToolButton(self)
        self._header.setObjectName("_header")
        self._header.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._header.setAutoRaise(True)
        self._header.clicked.connect(self._click)
        self._collapsed = False
        self._checkable = False
        self._hidden_here: list[Any] = []
        self._header.setText(text)
        self._update()

    def _click(self) -> None:
        self._set_collapsed(not self._collapsed)
        self.clicked.emit(not self._collapsed)

    def _update(self) -> None:
        arrow = QtCore.Qt.ArrowType
        self._header.setArrowType(arrow.RightArrow if self._collapsed else arrow.DownArrow)
        height = self._header.sizeHint().height()
        self.setContentsMargins(0, height, 0, 0)
        self.setMinimumHeight(height)
        self.setMaximumHeight(height if self._collapsed else 16777215)
        self._header.setGeometry(0, 0, self.size.width(), height)
        self._header.raise_()
        children = [
            each
            for each in self.children()
            if isinstance(each, QtWidgets.QWidget) and each is not self._header
        ]
        if self._collapsed:
            self._hidden_here += [each for each in children if not each.isHidden()]
            for child in children:
                child.hide()
        else:
            for child in self._hidden_here:
                child.show()
            self._hidden_here = []

    def showEvent(self, event: Any) -> None:
        self._update()
        super().showEvent(event)

    def resizeEvent(self, event: Any) -> None:
        height = self._header.sizeHint().height()
        self._header.setGeometry(0, 0, self.size.width(), height)

    def _set_collapsed(self, value: bool) -> None:
        if value != self._collapsed:
            self._collapsed = value
            self._update()
            self.contentsCollapsed.emit(value)
            self.toggled.emit(not value)

    def _set_text(self, value: str) -> None:
        self._header.setText(value)
        self._update()

    def _set_checked(self, value: bool) -> None:
        self._set_collapsed(not value)

    def setChecked(self, value: bool) -> None:
        self._set_collapsed(not value)

    def setText(self, value: str) -> None:
        self._set_text(value)

    def setCollapsed(self, value: bool) -> None:
        self._set_collapsed(value)

    collapsed = QtCore.Property(bool, lambda self: self._collapsed, _set_collapsed)
    checked = QtCore.Property(bool, lambda self: not self._collapsed, _set_checked)
    text = QtCore.Property(str, lambda self: self._header.text, _set_text)


@cpp_class
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box whose check mark folds it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.setCheckable(True)
        self.toggled.connect(self._fold)

    def _fold(self, unfolded: bool) -> None:
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(unfolded)

    def _set_collapsed(self, value: bool) -> None:
        self.setChecked(not value)

    collapsed = QtCore.Property(bool, lambda self: not self.isChecked(), _set_collapsed)


@cpp_class
class ctkExpandableWidget(QtWidgets.QFrame):
    """A frame; its size grip is not modelled."""


@cpp_class
class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text browser; its height does not follow its text."""


@cpp_class
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message that can be told not to come again; that box is not shown."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._key = ""
        self._never = False

    def _set_key(self, value: str) -> None:
        self._key = value
        self._never = bool(value) and QtCore.QSettings().contains(value)

    def _set_never(self, value: bool) -> None:
        self._never = value

    def _set_visible(self, value: bool) -> None:
        pass

    dontShowAgainSettingsKey = QtCore.Property(str, lambda self: self._key, _set_key)
    dontShowAgain = QtCore.Property(bool, lambda self: self._never, _set_never)
    dontShowAgainVisible = QtCore.Property(bool, lambda self: bool(self._key), _set_visible)
