"""What a strip shows: colours, words, what is hidden, what is removed; and a plot of the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageFont

from med2e3.errors import InputError
from med2e3.palette import relative_color, rgb
from med2e3.volume import SliceMap, SlicePlace
from med2e3_slicer.strip import FixedViews, LayoutViews, Shown, SliceStrip, StripManager, words
from strip_scene import Scene, hot, matrix, plant

FOUR_UP, RED_ONLY, CONVENTIONAL = 3, 6, 2


@pytest.fixture
def scene(application: Any) -> Iterator[Scene]:
    made = Scene(application)
    yield made
    made.close()


def bytes_of(color: str) -> tuple[int, ...]:
    return tuple(round(255 * channel) for channel in rgb(color))


def props(scene: Scene, name: str) -> int:
    view = scene.layout.sliceWidget(name).sliceView()
    return view.renderWindow().GetRenderers().GetItemAsObject(0).GetViewProps().GetNumberOfItems()


@pytest.mark.parametrize("name", ["Red", "Green"])
def test_a_cell_has_the_colour_of_its_score(application: Any, scene: Scene, name: str) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    scores = hot(20, times_uniform=3.2)
    scores[8] = 0.0
    shown = Shown(planted.model_input.slice_map, scores)
    scene.manager.show(shown)
    scene.draw()
    strip = scene.manager.strip_in(name)
    for index in (3, 8, 20):
        expected = bytes_of(relative_color(shown.relative[index]))
        assert scene.color(name, strip.cell_middle(index)) == expected
    assert relative_color(shown.relative[20]) != relative_color(shown.relative[3])


def test_hover_tells_slice_position_and_score(application: Any, scene: Scene) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    text = words.cell(planted.shown, planted.index)
    place = planted.shown.slice_map.slices[planted.index].position_ras_mm[2]
    assert text == (
        f"Slice {planted.index + 1} of 32\n{'S' if place >= 0 else 'I'} {abs(place):.1f} mm"
        "\n3.2 × uniform"
    )
    scene.manager.show(planted.shown)
    scene.draw()
    strip = scene.manager.strip_in("Green")
    before = scene.picture("Green")
    scene.hover("Green", strip.cell_middle(planted.index))
    hovered = scene.picture("Green")
    assert (before != hovered).any(axis=2).sum() > 1000  # the card
    x, y = strip.cell_middle(planted.index)
    row = round(hovered.shape[0] - 1 - y)
    line = hovered[row - 1 : row + 2, : round(x) - 160].min(axis=2).max(axis=0)
    assert (line > 150).all()  # the slice's line through the picture
    scene.canvas("Green").interactor().InvokeEvent("LeaveEvent")
    scene.draw()
    assert (scene.picture("Green") == before).all()


def test_an_oblique_position_is_told_with_all_three_axes(application: Any) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0), tilt_degrees=25))
    line = words.cell(planted.shown, 0).splitlines()[1]
    assert [part[0] in "RLAPSI" for part in line.split("  ")] == [True] * 3


def test_letters_suit_the_background(application: Any, scene: Scene) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    view = scene.layout.sliceWidget("Red").sliceView()
    renderer = view.renderWindow().GetRenderers().GetItemAsObject(0)
    scene.manager.show(planted.shown)
    scene.draw()
    (column,) = scene.manager.strip_in("Red").columns
    arrow = (column.across[0] - 6, round(column.marker))
    assert min(scene.color("Red", arrow)) > 200
    renderer.SetBackground(1, 1, 1)
    try:
        assert max(scene.color("Red", arrow)) < 60
    finally:
        renderer.SetBackground(0, 0, 0)


def test_letters_come_from_the_font_that_slicer_is_told(application: Any, scene: Scene) -> None:
    """VTK's own font has no Chinese letters, so Slicer lets a person (or a language pack) choose.

    Any font shows it; the one that Pillow has in itself is drawn otherwise than VTK's.
    """
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    scene.manager.show(planted.shown)
    before = scene.picture("Red")
    scene.manager.clear()
    logic = application.app.applicationLogic()
    font = Path(logic.GetFontFilePath("chosen.ttf"))
    font.parent.mkdir(parents=True, exist_ok=True)
    font.write_bytes(ImageFont.load_default(20).font_bytes)
    logic.SetFontFileName(application.vtk.VTK_ARIAL, font.name)
    try:
        scene.manager.show(planted.shown)
        assert (scene.picture("Red") != before).any()
    finally:
        logic.SetFontFileName(application.vtk.VTK_ARIAL, "")
        font.unlink()
    scene.manager.clear()
    scene.manager.show(planted.shown)
    assert (scene.picture("Red") == before).all()


def test_two_exchanges_side_by_side(application: Any, scene: Scene) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    other = Shown(planted.model_input.slice_map, hot(5), "Other")
    scene.manager.compare(planted.shown, other)
    scene.draw()
    for name in ("Red", "Green", "Yellow"):
        strip = scene.manager.strip_in(name)
        first, second = strip.columns
        assert first.across[1] < second.across[0]
        assert [strip.cell_middle(5, column)[1] for column in (0, 1)] == pytest.approx(
            [strip.cell_middle(5, 0)[1]] * 2
        )
        hot_color = bytes_of(relative_color(3.2))
        assert scene.color(name, strip.cell_middle(5, 1)) == hot_color
        assert scene.color(name, strip.cell_middle(5, 0)) != hot_color
    scene.click("Red", scene.manager.strip_in("Red").cell_middle(5, 1))
    assert scene.manager.current_index() == 5
    with pytest.raises(ValueError, match="at most 2"):
        scene.manager.strip_in("Red").show(other, other, other)


def test_two_planes_in_one_view_do_not_overlap(application: Any, scene: Scene) -> None:
    axial = plant(application, matrix((2.0, 2.0, 3.0)))
    sagittal = plant(application, matrix((2.0, 2.0, 3.0)), plane="sagittal")
    scene.manager.compare(axial.shown, sagittal.shown)
    scene.draw()
    for name in ("Red", "Green"):
        upright, flat = scene.manager.strip_in(name).columns
        assert upright.axis.vertical
        assert not flat.axis.vertical
        assert flat.axis.high < upright.across[0]
        assert flat.across[1] < upright.axis.low


def test_hidden_strips_draw_nothing_and_do_not_react(application: Any, scene: Scene) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    scene.draw()
    bare = scene.picture("Red")
    scene.manager.show(planted.shown)
    scene.draw()
    place = scene.manager.strip_in("Red").cell_middle(planted.index)
    assert (scene.picture("Red") != bare).any()
    scene.manager.visible = False
    scene.draw()
    assert (scene.picture("Red") == bare).all()
    offset = scene.node("Red").GetSliceOffset()
    scene.click("Red", place)
    assert scene.node("Red").GetSliceOffset() == offset
    scene.manager.visible = True
    scene.draw()
    scene.click("Red", place)
    assert scene.node("Red").GetSliceOffset() != offset


def test_cleanup_leaves_no_actor_and_no_observer(application: Any) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    scene = Scene(application)
    renderer = LayoutViews(scene.layout).views()[0].renderer
    interactor = LayoutViews(scene.layout).views()[0].interactor
    node, mode = scene.node("Red"), application.scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    watched = (renderer, interactor, node, mode, application.scene)

    # VTK has no count of observers, but tells which tags are taken
    def observers() -> list[int]:
        return [sum(each.GetCommand(tag) is not None for tag in range(20_000)) for each in watched]

    scene.close()
    scene.draw()
    before, actors = observers(), [props(scene, name) for name in ("Red", "Green", "Yellow")]
    scene = Scene(application)
    scene.manager.show(planted.shown)
    scene.draw()
    assert [props(scene, name) for name in ("Red", "Green", "Yellow")] > actors
    assert all(now > then for now, then in zip(observers(), before, strict=True))
    scene.manager.clear()
    assert [props(scene, name) for name in ("Red", "Green", "Yellow")] == actors
    scene.close()
    assert observers() == before


def test_views_come_and_go_with_the_layout(application: Any, scene: Scene) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    scene.manager.show(planted.shown)
    assert all(scene.manager.strip_in(name) for name in ("Red", "Green", "Yellow"))
    scene.layout.setLayout(RED_ONLY)
    application.process()
    assert scene.manager.strip_in("Red") is not None
    assert scene.manager.strip_in("Green") is None
    bare = props(scene, "Green")
    scene.layout.setLayout(CONVENTIONAL)
    application.process()
    scene.draw()
    assert scene.manager.strip_in("Green").cell_middle(planted.index) is not None
    assert props(scene, "Green") > bare
    three_over_three = application.slicer.vtkMRMLLayoutNode.SlicerLayoutThreeOverThreeView
    scene.layout.setLayout(three_over_three)
    application.process()
    names = scene.view_names()
    assert len(names) == 6
    application.slicer.util.setSliceViewerLayers(background=planted.node, fit=True)
    scene.draw()
    assert all(scene.manager.strip_in(name).columns for name in names)


def test_closing_the_scene_takes_the_strips_away(application: Any, scene: Scene) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    scene.manager.show(planted.shown)
    scene.draw()
    application.scene.Clear(0)
    application.process()
    assert scene.manager.shown == ()
    assert scene.manager.strip_in("Red") is None


def test_only_one_view_explains_the_colours(application: Any, scene: Scene) -> None:
    axial = plant(application, matrix((2.0, 2.0, 3.0)))
    scene.manager.show(axial.shown)
    legends = [scene.manager.strip_in(name).legend for name in ("Red", "Green", "Yellow")]
    assert legends == [True, False, False]
    sagittal = plant(application, matrix((2.0, 2.0, 3.0)), plane="sagittal")
    scene.manager.show(sagittal.shown)
    legends = [scene.manager.strip_in(name).legend for name in ("Red", "Green", "Yellow")]
    assert legends == [False, False, True]


def test_slices_without_a_position_are_said_not_drawn(application: Any, scene: Scene) -> None:
    plant(application, matrix((2.0, 2.0, 3.0)))
    places = tuple(SlicePlace(index, None, index, index) for index in range(32))
    scene.manager.show(Shown(SliceMap(places, "k"), hot(3)))
    scene.draw()
    strip = scene.manager.strip_in("Red")
    assert strip.columns == ()
    assert "no known position" in strip.sentence
    with pytest.raises(InputError, match="no known position"):
        scene.manager.jump_to_hottest()


@pytest.mark.parametrize("scores", [[], [0.1] * 31, [float("nan")] * 32, [-1.0] + [0.1] * 31])
def test_scores_that_do_not_belong_are_refused(application: Any, scores: list[float]) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    with pytest.raises(InputError):
        Shown(planted.model_input.slice_map, scores)


def test_a_strip_alone_and_a_fixed_list_of_views(application: Any) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    view = LayoutViews(application.app.layoutManager()).views()[0]
    strip = SliceStrip(view.renderer, view.interactor, view.slice_logic)
    strip.show(planted.shown)
    assert strip.cell_middle(planted.index) is not None
    strip.detach()
    strip.detach()  # twice does no harm
    manager = StripManager(FixedViews([view]), application.scene)
    manager.show(planted.shown)
    assert manager.jump_to_hottest() == planted.index
    assert manager.strip_in("Green") is None
    manager.cleanup()


def test_the_hottest_slices_one_after_the_other(application: Any, scene: Scene) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    scores = np.full(32, 0.01)
    scores[[7, 21, 14]] = 0.3, 0.2, 0.1
    scene.manager.show(Shown(planted.model_input.slice_map, [float(s) for s in scores]))
    jumps: list[tuple[int, int]] = []
    stop = scene.manager.on_jump(lambda column, index: jumps.append((column, index)))
    going = [scene.manager.next_hottest() for _ in range(3)]
    assert going == [7, 21, 14]
    assert scene.manager.current_index() == 14
    assert scene.manager.previous_hottest() == 21
    assert scene.manager.jump_to_hottest(999) == 31  # ranks end at the coldest
    stop()
    scene.manager.jump_to_hottest()
    assert jumps == [(0, 7), (0, 21), (0, 14), (0, 21), (0, 31)]
    with pytest.raises(InputError, match="no slice 33"):
        scene.manager.jump(32)
    scene.manager.clear()
    with pytest.raises(InputError, match="show an answer first"):
        scene.manager.next_hottest()
