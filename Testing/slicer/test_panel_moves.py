"""The strip goes where its volume goes: parent transforms that come, change, are hardened, bend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from med2e3.asking import Question
from strip_scene import Planted, Scene, matrix, plant


class Displayed(Scene):
    """A scene whose strips are those that the panel's display made."""

    def __init__(self, application: Any, planted: Planted) -> None:
        from med2e3_slicer.panel.display import StripDisplay
        from med2e3_slicer.panel.selftest import add_exchange
        from med2e3_slicer.records import ExchangeStore

        super().__init__(application)
        self.manager.cleanup()
        self.planted = planted
        self.store = ExchangeStore(application.scene)
        add_exchange(planted.node, Question("Why?"), "because")
        self.display = StripDisplay()
        self.display.show(self.stored())
        self.manager = self.display.strips
        self.draw()

    def stored(self) -> Any:
        """The exchange as the scene holds it now."""
        return self.store.exchanges()[0]

    def close(self) -> None:
        """Take the strips away."""
        self.display.close()

    def fit(self) -> None:
        """Let every view show the whole volume where it is now."""
        for name in ("Red", "Green", "Yellow"):
            self.layout.sliceWidget(name).sliceLogic().FitSliceToBackground()
        self.draw()

    def leads_to_the_landmark(self, landmark_ras: np.ndarray) -> bool:
        """Whether the landmark's cell leads to it, from a view along and from views across."""
        there = replace(self.planted, landmark_ras=landmark_ras)
        logic = self.layout.sliceWidget("Red").sliceLogic()
        for name in ("Red", "Green", "Yellow"):
            bounds = [0.0] * 6
            logic.GetLowestVolumeSliceBounds(bounds)
            logic.SetSliceOffset(bounds[4] + 0.15 * (bounds[5] - bounds[4]))
            assert not self.shows_landmark("Red", there)
            middle = self.manager.strip_in(name).cell_middle(self.planted.index)
            if name != "Red":
                (column,) = self.manager.strip_in(name).columns
                x, y, _ = self.pixel_of(name, landmark_ras)
                across = sum(column.across) / 2
                middle = (across, y) if column.axis.vertical else (x, across)
            self.click(name, middle)
            if not self.shows_landmark("Red", there):
                return False
        return True


@pytest.fixture
def scene(application: Any) -> Iterator[Displayed]:
    made = Displayed(application, plant(application, matrix((2.0, 2.0, 3.0))))
    yield made
    made.close()


def turned(degrees: float, shift: tuple[float, float, float], scale: float = 1.0) -> np.ndarray:
    """A turn about the long axis of the body, and a shift; 4x4, mm RAS."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    result = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, scale, 0], [0, 0, 0, 1.0]])
    result[:3, 3] = shift
    return result


def add_transform(application: Any, values: np.ndarray) -> Any:
    node = application.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    set_transform(application, node, values)
    return node


def set_transform(application: Any, node: Any, values: np.ndarray) -> None:
    node.SetMatrixTransformToParent(application.slicer.util.vtkMatrixFromArray(values))
    application.process()


def at(values: np.ndarray, planted: Planted) -> np.ndarray:
    return (values @ [*planted.landmark_ras, 1.0])[:3]


def test_a_transform_comes_changes_and_is_hardened(application: Any, scene: Displayed) -> None:
    planted = scene.planted
    assert scene.leads_to_the_landmark(planted.landmark_ras)
    first, second = turned(0, (0, 0, 150)), turned(25, (30, -20, -80), scale=1.3)
    node = add_transform(application, first)
    planted.node.SetAndObserveTransformNodeID(node.GetID())
    scene.fit()
    assert scene.leads_to_the_landmark(at(first, planted))
    set_transform(application, node, second)
    scene.fit()
    assert scene.leads_to_the_landmark(at(second, planted))
    assert scene.stored().moved
    planted.node.HardenTransform()
    application.process()
    scene.fit()
    assert planted.node.GetParentTransformNode() is None
    assert scene.leads_to_the_landmark(at(second, planted))


def test_the_parent_of_the_parent_counts(application: Any, scene: Displayed) -> None:
    planted = scene.planted
    outer = add_transform(application, turned(0, (0, 0, 60)))
    inner = add_transform(application, turned(10, (0, 0, 0)))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    planted.node.SetAndObserveTransformNodeID(inner.GetID())
    set_transform(application, outer, turned(0, (0, 0, -90)))
    scene.fit()
    both = turned(0, (0, 0, -90)) @ turned(10, (0, 0, 0))
    assert scene.leads_to_the_landmark(at(both, planted))


def test_a_transform_that_bends_hides_the_strip_and_says_so(
    application: Any, scene: Displayed
) -> None:
    vtk = application.vtk
    points, moved = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        place = 200.0 * np.array(corner) - 100
        points.InsertNextPoint(*place)
        moved.InsertNextPoint(*(place + (20 if corner == (1, 1, 1) else 0)))
    bent = vtk.vtkThinPlateSplineTransform()
    bent.SetBasisToR()
    bent.SetSourceLandmarks(points)
    bent.SetTargetLandmarks(moved)
    node = application.scene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(bent)
    scene.planted.node.SetAndObserveTransformNodeID(node.GetID())
    scene.draw()
    strip = scene.manager.strip_in("Red")
    assert not strip.columns
    assert "bent or changed" in strip.sentence
    assert scene.stored().motion.matrix is None
    scene.planted.node.SetAndObserveTransformNodeID(None)
    scene.draw()
    assert not strip.sentence
    assert scene.leads_to_the_landmark(scene.planted.landmark_ras)


def test_other_voxels_hide_the_strip(application: Any, scene: Displayed) -> None:
    node = scene.planted.node
    application.slicer.util.updateVolumeFromArray(node, np.zeros((10, 20, 30), np.int16))
    node.Modified()
    scene.draw()
    assert "bent or changed" in scene.manager.strip_in("Red").sentence


def test_a_move_while_the_model_answers_is_followed(application: Any, scene: Displayed) -> None:
    """The record keeps where the volume lay when its voxels were read."""
    from med2e3_slicer.records import geometry_text

    before = geometry_text(scene.planted.node)
    exchange = scene.stored().exchange
    shift = turned(0, (0, 0, 150))
    transform = add_transform(application, shift)
    scene.planted.node.SetAndObserveTransformNodeID(transform.GetID())
    stored = scene.store.add(scene.planted.node, exchange, before)
    assert stored.motion.matrix == pytest.approx(shift)
    scene.display.show(stored)
    scene.fit()
    assert scene.leads_to_the_landmark(at(shift, scene.planted))
