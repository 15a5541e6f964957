"""Whose clicks are whose: the strip's, the markups', the other views'."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from strip_scene import Planted, Scene, matrix, plant


@pytest.fixture
def scene(application: Any) -> Iterator[Scene]:
    made = Scene(application)
    yield made
    made.close()


@pytest.fixture
def planted(application: Any, scene: Scene) -> Planted:
    made = plant(application, matrix((2.0, 2.0, 3.0)))
    scene.manager.show(made.shown)
    scene.draw()
    return made


@pytest.fixture
def points(application: Any) -> Any:
    """A point list that a person has chosen to place points into."""
    node = application.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.CreateDefaultDisplayNodes()
    logic = application.app.applicationLogic()
    logic.GetSelectionNode().SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
    logic.GetSelectionNode().SetActivePlaceNodeID(node.GetID())
    return node


def mode(application: Any, name: str) -> None:
    node = application.app.applicationLogic().GetInteractionNode()
    node.SetPlaceModePersistence(name == "Place")
    node.SetCurrentInteractionMode(getattr(node, name))
    application.process()


def placed(points: Any) -> int:
    return points.GetNumberOfDefinedControlPoints()


def test_a_click_on_the_strip_places_nothing_and_jumps(
    application: Any, scene: Scene, planted: Planted, points: Any
) -> None:
    mode(application, "ViewTransform")
    scene.click("Red", scene.manager.strip_in("Red").cell_middle(planted.index))
    assert placed(points) == 0
    assert scene.manager.current_index() == planted.index


def test_in_place_mode_points_are_placed_and_the_strip_stands_back(
    application: Any, scene: Scene, planted: Planted, points: Any
) -> None:
    strip = scene.manager.strip_in("Red")
    bright = scene.color("Red", strip.cell_middle(planted.index))
    offset = scene.node("Red").GetSliceOffset()
    mode(application, "Place")
    try:
        scene.click("Red", (150, 200))
        assert placed(points) == 1
        scene.click("Red", strip.cell_middle(planted.index))
        assert placed(points) == 2
        assert scene.node("Red").GetSliceOffset() == offset
        assert sum(scene.color("Red", strip.cell_middle(5))) < sum(bright)
    finally:
        mode(application, "ViewTransform")
    points.RemoveAllControlPoints()
    scene.click("Red", strip.cell_middle(planted.index))
    assert placed(points) == 0
    assert scene.manager.current_index() == planted.index


def test_a_press_elsewhere_that_ends_on_the_strip_is_not_the_strips(
    application: Any, scene: Scene, planted: Planted
) -> None:
    canvas, height = scene.canvas("Red"), scene.canvas("Red").size.height()
    x, y = scene.manager.strip_in("Red").cell_middle(planted.index)
    seen: list[str] = []
    tag = canvas.interactor().AddObserver(
        "LeftButtonReleaseEvent",
        lambda *_: seen.append("released"),
        0.25,  # after the strip
    )
    offset = scene.node("Red").GetSliceOffset()
    application.press(canvas, 150, 200)
    application.move(canvas, round(x), round(height - 1 - y))
    application.release(canvas, round(x), round(height - 1 - y))
    assert seen == ["released"]
    assert scene.node("Red").GetSliceOffset() == offset
    # and the other way round: what the strip caught, it keeps until the button is let go
    application.press(canvas, round(x), round(height - 1 - y))
    application.release(canvas, 150, 200)
    canvas.interactor().RemoveObserver(tag)
    assert seen == ["released"]


def test_a_point_under_the_strip_can_still_be_grasped(
    application: Any, scene: Scene, planted: Planted, points: Any
) -> None:
    strip = scene.manager.strip_in("Red")
    x, y = strip.cell_middle(planted.index)
    m = scene.node("Red").GetXYToRAS()
    points.AddControlPoint([m.MultiplyPoint([x, y, 0, 1])[axis] for axis in range(3)])
    scene.draw()
    offset = scene.node("Red").GetSliceOffset()
    scene.click("Red", (x, y))
    assert scene.node("Red").GetSliceOffset() == offset
    points.RemoveAllControlPoints()
    scene.click("Red", (150, 200))
    scene.click("Red", (x, y))
    assert scene.node("Red").GetSliceOffset() != offset


def test_a_handle_that_moves_slices_can_be_grasped_under_the_strip(
    application: Any, scene: Scene, planted: Planted
) -> None:
    display = application.scene.GetFirstNodeByClass("vtkMRMLSliceDisplayNode")
    before = scene.manager.current_index()
    cell = scene.manager.strip_in("Red").cell_middle(planted.index)
    mouse = scene.manager.strip_in("Red")._mouse
    assert before != planted.index
    display.SetActiveComponent(display.ComponentTranslateSingleIntersectingSliceHandle, 0)
    assert mouse._on_other()
    display.SetActiveComponent(display.ComponentSliceIntersection, 0)  # a mere line
    assert not mouse._on_other()
    scene.click("Red", cell)
    assert scene.manager.current_index() == planted.index


def test_a_handle_of_a_transform_can_be_grasped_under_the_strip(
    application: Any, scene: Scene, planted: Planted
) -> None:
    strip = scene.manager.strip_in("Red")
    x, y = strip.cell_middle(planted.index)
    xy_to_ras = scene.node("Red").GetXYToRAS()
    point = [xy_to_ras.MultiplyPoint([x, y, 0, 1])[axis] for axis in range(3)]
    transform = application.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetCenterOfTransformation(point)
    transform.CreateDefaultDisplayNodes()
    display = transform.GetDisplayNode()
    display.SetEditorVisibility(True)
    display.SetEditorSliceIntersectionVisibility(True)
    scene.draw()
    before = scene.node("Red").GetSliceOffset()
    scene.click("Red", (x, y))
    assert display.GetActiveInteractionType() > 0
    assert scene.node("Red").GetSliceOffset() == before
    display.SetEditorVisibility(False)
    scene.click("Red", (x, y))
    assert scene.manager.current_index() == planted.index


def test_an_effect_of_the_segment_editor_comes_before_the_strip(
    application: Any, scene: Scene, planted: Planted
) -> None:
    """It takes presses with priority 1, and leaves to others those that it has no use for."""
    interactor = scene.canvas("Red").interactor()
    painted: list[str] = []
    tags: dict[str, int] = {}
    paints = True

    def effect(_caller: object, event: str) -> None:
        if paints:
            painted.append(event)
            interactor.GetCommand(tags[event]).SetAbortFlag(1)

    for event in ("LeftButtonPressEvent", "LeftButtonReleaseEvent"):
        tags[event] = interactor.AddObserver(event, effect, 1.0)
    cell = scene.manager.strip_in("Red").cell_middle(planted.index)
    before = scene.node("Red").GetSliceOffset()
    scene.click("Red", cell)
    assert painted == ["LeftButtonPressEvent", "LeftButtonReleaseEvent"]
    assert scene.node("Red").GetSliceOffset() == before
    paints = False
    scene.click("Red", cell)
    assert scene.manager.current_index() == planted.index
    for tag in tags.values():
        interactor.RemoveObserver(tag)


def test_while_an_effect_is_active_the_strip_says_nothing(
    application: Any, scene: Scene, planted: Planted
) -> None:
    """What is painted is not to be hidden by the strip's words; they come back afterwards.

    A scene that was saved in the middle of painting names an effect that no editor uses.
    """
    canvas, strip = scene.canvas("Red"), scene.manager.strip_in("Red")
    x, y = strip.cell_middle(planted.index)
    place = (round(x), round(canvas.size.height() - 1 - y))
    node = application.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor = application.slicer.qMRMLSegmentEditorWidget(application.window)
    shown = []
    for effect, edited in (("", node), ("Paint", node), ("", node), ("Paint", None)):
        editor.setMRMLSegmentEditorNode(edited)
        node.SetActiveEffectName(effect)
        application.move(canvas, place[0], place[1] + 1)
        application.move(canvas, *place)
        shown.append(strip._hovered is not None)
    editor.setParent(None)
    editor.deleteLater()
    assert shown == [True, False, True, True]


def test_dragging_along_the_strip_goes_from_slice_to_slice(
    application: Any, scene: Scene, planted: Planted
) -> None:
    del planted
    canvas, height = scene.canvas("Red"), scene.canvas("Red").size.height()
    strip = scene.manager.strip_in("Red")
    jumps: list[int] = []
    scene.manager.on_jump(lambda _column, index: jumps.append(index))
    for step, index in enumerate((4, 5, 6)):
        x, y = strip.cell_middle(index)
        place = (round(x), round(height - 1 - y))
        if step == 0:
            application.press(canvas, *place)
        else:
            application.move(canvas, *place)
    application.release(canvas, *place)
    assert jumps == [4, 5, 6]
    application.move(canvas, *place)
    assert jumps == [4, 5, 6]


def test_linked_views_follow_and_others_stay(
    application: Any, scene: Scene, planted: Planted
) -> None:
    scene.layout.setLayout(application.slicer.vtkMRMLLayoutNode.SlicerLayoutThreeOverThreeView)
    application.process()
    application.slicer.util.setSliceViewerLayers(background=planted.node, fit=True)
    names = scene.view_names()
    axial = [name for name in names if scene.node(name).GetOrientation() == "Axial"]
    assert len(axial) == 2
    first = axial[0]
    for name in axial:
        scene.node(name).SetViewGroup(0)  # views of different groups are never linked
    scene.draw()

    def offsets() -> list[float]:
        return [scene.node(name).GetSliceOffset() for name in axial]

    before = offsets()
    scene.click(first, scene.manager.strip_in(first).cell_middle(planted.index))
    after = offsets()
    assert after[0] != before[0]
    assert after[1] == before[1]  # not linked
    composites = [scene.layout.sliceWidget(name).mrmlSliceCompositeNode() for name in names]
    for composite in composites:
        composite.SetLinkedControl(True)
    try:
        scene.click(first, scene.manager.strip_in(first).cell_middle(4))
        assert offsets()[0] == offsets()[1] != before[1]
    finally:
        for composite in composites:
            composite.SetLinkedControl(False)


def test_views_of_another_volume_do_not_jump(
    application: Any, scene: Scene, planted: Planted
) -> None:
    other = application.add_volume()
    composite = scene.layout.sliceWidget("Red").mrmlSliceCompositeNode()
    scene.manager.show(planted.shown, volume_id=planted.node.GetID())
    composite.SetBackgroundVolumeID(other.GetID())
    offset = scene.node("Red").GetSliceOffset()
    scene.manager.jump_to_hottest()
    assert scene.node("Red").GetSliceOffset() == offset
    composite.SetBackgroundVolumeID(planted.node.GetID())
    scene.manager.jump_to_hottest()
    assert scene.shows_landmark("Red", planted)


def test_scrolling_one_view_moves_the_marker_in_the_others(
    application: Any, scene: Scene, planted: Planted
) -> None:
    moved: list[int] = []
    stop = scene.manager.on_scroll(lambda: moved.append(1))
    before = scene.manager.strip_in("Green").columns[0].marker
    logic = scene.layout.sliceWidget("Red").sliceLogic()
    logic.SetSliceOffset(planted.landmark_ras[2])
    application.process()
    assert moved
    stop()
    marker = scene.manager.strip_in("Green").columns[0].marker
    _, y, _ = scene.pixel_of("Green", planted.landmark_ras)
    assert marker != before
    assert marker == pytest.approx(y, abs=1)
