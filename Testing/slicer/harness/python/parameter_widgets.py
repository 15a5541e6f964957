"""Which widget stands for which parameter; the widgets that Slicer's connectors know, no others.

Knows: the property and the signal of each widget.  Does not know: nodes.  As in Slicer the class
must be exactly the one listed, so a subclass written in Python is not connected.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer

from .validators import Choice, Maximum, Minimum, WithinRange


class Connector:
    """Joins one widget with one parameter."""

    def __init__(
        self, widget: Any, read: Callable[[], Any], write: Callable[[Any], None], signal: str
    ) -> None:
        self.widget = widget
        self.read = read
        self.write = write
        self.signal = signal
        self.callback: Any = None

    def connect(self, callback: Callable[[], None]) -> None:
        """Call back when the person changes the widget."""
        self.callback = lambda: callback()
        if self.signal:
            self.widget.connect(self.signal, self.callback)

    def disconnect(self) -> None:
        """Call back no more."""
        if self.signal and self.callback is not None:
            self.widget.disconnect(self.signal, self.callback)
            self.callback = None


def _attribute(widget: Any, name: str, signal: str) -> Connector:
    return Connector(
        widget, lambda: getattr(widget, name), lambda value: setattr(widget, name, value), signal
    )


def _limits(widget: Any, parameter: Any, must: bool) -> None:
    low = high = None
    for each in parameter.annotations:
        if isinstance(each, WithinRange):
            low, high = each.minimum, each.maximum
        elif isinstance(each, Minimum):
            low = each.minimum
        elif isinstance(each, Maximum):
            high = each.maximum
        elif type(each).__name__ == "Decimals":
            widget.decimals = each.value
        elif type(each).__name__ == "SingleStep":
            widget.singleStep = each.value
    if must and (low is None or high is None):
        raise RuntimeError(f"A slider needs a bounded parameter: {parameter.name}")
    whole = parameter.origin is int
    widget.minimum = low if low is not None else (-(2**31) if whole else -1e300)
    widget.maximum = high if high is not None else (2**31 - 1 if whole else 1e300)


def _combo(widget: Any, parameter: Any) -> Connector:
    if isinstance(parameter.origin, type) and issubclass(parameter.origin, enum.Enum):
        label = getattr(parameter.origin, "label", lambda each: each.name)
        pairs = [(label(each), each) for each in parameter.origin]
    else:
        choices = [each for each in parameter.annotations if isinstance(each, Choice)]
        if not choices:
            raise RuntimeError(f"A combo box needs the Choice annotation: {parameter.name}")
        pairs = [(str(each), each) for each in choices[0].choices]
    widget.clear()
    for text, _ in pairs:
        widget.addItem(text)
    values = [value for _, value in pairs]

    def write(value: Any) -> None:
        if value not in values:
            raise ValueError(f"{value!r} is not a choice of {parameter.name}")
        widget.currentIndex = values.index(value)

    return Connector(widget, lambda: values[widget.currentIndex], write, "currentIndexChanged(int)")


def _number(widget: Any, parameter: Any) -> Connector:
    kind = "int" if parameter.origin is int else "double"
    _limits(widget, parameter, must=type(widget) in {qt.QSlider, ctk.ctkSliderWidget})
    return _attribute(widget, "value", f"valueChanged({kind})")


def _text(widget: Any, parameter: Any) -> Connector:
    if type(widget) is qt.QTextEdit:

        def write(value: str) -> None:
            if value != widget.toPlainText():
                widget.setPlainText(value)

        return Connector(widget, lambda: widget.toPlainText(), write, "textChanged()")
    if type(widget) is qt.QLabel:
        return _attribute(widget, "text", "")
    return _attribute(widget, "text", "textChanged(QString)")


def _path(widget: Any, parameter: Any) -> Connector:
    name, signal = (
        ("currentPath", "currentPathChanged(QString)")
        if type(widget) is ctk.ctkPathLineEdit
        else ("directory", "directoryChanged(QString)")
    )
    return Connector(
        widget,
        lambda: parameter.origin(getattr(widget, name)),
        lambda value: setattr(widget, name, str(value)),
        signal,
    )


def connector(widget: Any, parameter: Any) -> Connector:
    """Return the connector of a widget and a parameter.

    Raises:
        RuntimeError: Slicer has none for this pair.
    """
    kind, origin = type(widget), parameter.origin
    if parameter.is_node and kind is slicer.qMRMLNodeComboBox:
        return Connector(
            widget,
            widget.currentNode,
            widget.setCurrentNode,
            "currentNodeChanged(vtkMRMLNode*)",
        )
    if origin is bool and kind is qt.QCheckBox:
        return _attribute(widget, "checked", "toggled(bool)")
    if origin is bool and kind is qt.QPushButton:
        widget.checkable = True
        return _attribute(widget, "checked", "toggled(bool)")
    if origin is int and kind in {qt.QSlider, qt.QSpinBox}:
        return _number(widget, parameter)
    if origin is float and kind in {qt.QDoubleSpinBox, ctk.ctkSliderWidget}:
        return _number(widget, parameter)
    if kind is qt.QComboBox:
        return _combo(widget, parameter)
    if kind in {ctk.ctkPathLineEdit, ctk.ctkDirectoryButton}:
        return _path(widget, parameter)
    if origin is str and kind in {qt.QLineEdit, qt.QTextEdit, qt.QLabel}:
        return _text(widget, parameter)
    raise RuntimeError(
        f"Unable to create GUI connector from datatype '{parameter.hint}' to widget type '{kind}'"
    )
