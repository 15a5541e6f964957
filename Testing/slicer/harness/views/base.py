"""What all views have in common: a render window, one renderer of its own, displayable managers.

Knows: displayable managers by name.  Does not know: which volume or which logic a view shows.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtWidgets

from ..observing import observe
from .canvas import Canvas


class View(QtWidgets.QWidget):
    """Stands in for ``ctkVTKAbstractView``."""

    def __init__(self, factory: Any, managers: tuple[str, ...], parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._canvas = Canvas(self)
        layout.addWidget(self._canvas)
        self._renderer = vtk.vtkRenderer()
        self._canvas.renderWindow().AddRenderer(self._renderer)
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._group = factory.InstantiateDisplayableManagers(self._renderer)
        observe(self._group, vtk.vtkCommand.UpdateEvent, self._modified)

    def _modified(self, *_: Any) -> None:
        self.scheduleRender()

    def _release(self) -> None:
        """Stop drawing: the view's scene has gone."""
        self._group.SetMRMLDisplayableNode(None)
        self._canvas.release()

    def VTKWidget(self) -> Any:
        """Return the widget that gets mouse and keys."""
        return self._canvas

    def renderWindow(self) -> Any:
        """Return the vtkRenderWindow."""
        return self._canvas.renderWindow()

    def interactor(self) -> Any:
        """Return the interactor."""
        return self._canvas.interactor()

    def interactorStyle(self) -> Any:
        """Return the interactor's observer or style."""
        return self._style

    def scheduleRender(self) -> None:
        """Draw once, soon."""
        self._canvas.stale()

    def forceRender(self) -> None:
        """Draw now."""
        self._canvas.draw()
        self._canvas.update()

    def displayableManagerByClassName(self, name: str) -> Any:
        """Return one displayable manager or None."""
        for index in range(self._group.GetDisplayableManagerCount()):
            manager = self._group.GetNthDisplayableManager(index)
            if manager.IsA(name):
                return manager
        return None
