"""CTK's inputs: paths, folders, sliders, combo boxes.

Knows: Qt.  Does not know: MRML, units.
"""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from ..pythonqt import cpp_class


@cpp_class
class ctkPathLineEdit(QtWidgets.QWidget):
    """A line with a path and a button; the history is not modelled."""

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)
    Files, Dirs, Drives, NoDot, NoDotDot, Readable, Writable, Executable = (
        0x2, 0x1, 0x4, 0x2000, 0x4000, 0x10, 0x20, 0x40,
    )  # fmt: skip

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._line = QtWidgets.QLineEdit(self)
        self._button = QtWidgets.QToolButton(self)
        self._button.setText("...")
        layout.addWidget(self._line)
        layout.addWidget(self._button)
        self._line.textChanged.connect(self.currentPathChanged.emit)
        self._button.clicked.connect(self.browse)
        self._filters: Any = self.Files
        self._names: list[str] = []
        self._key = ""

    def browse(self) -> None:
        if self._filters == self.Dirs:
            path = QtWidgets.QFileDialog.getExistingDirectory(self, "")
        else:
            path = QtWidgets.QFileDialog.getOpenFileName(self, "")
        if path:
            self._line.setText(path)

    def addCurrentPathToHistory(self) -> None:
        pass

    def setCurrentPath(self, path: str) -> None:
        self._line.setText(path)

    def _set_filters(self, value: Any) -> None:
        self._filters = value

    def _set_names(self, value: Any) -> None:
        self._names = list(value)

    def _set_key(self, value: str) -> None:
        self._key = value

    currentPath = QtCore.Property(str, lambda self: self._line.text, setCurrentPath)
    filters = QtCore.Property("QVariant", lambda self: self._filters, _set_filters)
    nameFilters = QtCore.Property("QStringList", lambda self: self._names, _set_names)
    settingKey = QtCore.Property(str, lambda self: self._key, _set_key)


@cpp_class
class ctkDirectoryButton(QtWidgets.QWidget):
    """A button with a folder."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._button = QtWidgets.QPushButton(self)
        layout.addWidget(self._button)
        self._directory = ""
        self._button.clicked.connect(self.browse)

    def browse(self) -> None:
        path = QtWidgets.QFileDialog.getExistingDirectory(self, "", self._directory)
        if path:
            self._set(path)
            self.directorySelected.emit(path)

    def _set(self, path: str) -> None:
        if path != self._directory:
            self._directory = path
            self._button.setText(path)
            self.directoryChanged.emit(path)

    directory = QtCore.Property(str, lambda self: self._directory, _set)


def _number(name: str) -> Any:
    setter = "set" + name[0].upper() + name[1:]

    def write(self: Any, value: float) -> None:
        getattr(self._spin, setter)(value)
        self._match()

    return QtCore.Property(float, lambda self: getattr(self._spin, name), write)


@cpp_class
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider and a spin box for a number."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    _signal_aliases = {
        "valueChanged(double)": "valueChanged(double)",
        "valueIsChanging(double)": "valueIsChanging(double)",
    }

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._spin = QtWidgets.QDoubleSpinBox(self)
        layout.addWidget(self._slider)
        layout.addWidget(self._spin)
        self._tracking = True
        self._spin.valueChanged.connect(self._changed)
        self._slider.valueChanged.connect(self._slid)
        self._match()

    def _match(self) -> None:
        self._slider.blockSignals(True)
        self._slider.setRange(int(self._spin.minimum * 1000), int(self._spin.maximum * 1000))
        self._slider.setValue(int(self._spin.value * 1000))
        self._slider.blockSignals(False)

    def _changed(self, value: float) -> None:
        self._match()
        self.valueChanged.emit(value)

    def _slid(self, value: int) -> None:
        self._spin.setValue(value / 1000)

    def setValue(self, value: float) -> None:
        self._spin.setValue(value)

    value = _number("value")
    minimum = _number("minimum")
    maximum = _number("maximum")
    singleStep = _number("singleStep")

    def _set_decimals(self, value: int) -> None:
        self._spin.setDecimals(value)

    def _set_suffix(self, value: str) -> None:
        self._spin.setSuffix(value)

    def _set_tracking(self, value: bool) -> None:
        self._tracking = value

    decimals = QtCore.Property(int, lambda self: self._spin.decimals, _set_decimals)
    suffix = QtCore.Property(str, lambda self: self._spin.suffix, _set_suffix)
    tracking = QtCore.Property(bool, lambda self: self._tracking, _set_tracking)


@cpp_class
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a text for nothing chosen."""

    def _set_default(self, value: str) -> None:
        self.setPlaceholderText(value)

    defaultText = QtCore.Property(str, lambda self: self.placeholderText, _set_default)


@cpp_class
class ctkSearchBox(QtWidgets.QLineEdit):
    """A line for searching."""
