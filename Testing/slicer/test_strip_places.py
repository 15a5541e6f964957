"""A cell leads to the slice that shows the planted landmark, however the volume lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from strip_scene import Planted, Scene, matrix, plant

AXIAL = {"along": "Red", "across": ("Green", "Yellow")}
VIEWS = {
    "axial": AXIAL,
    "coronal": {"along": "Green", "across": ("Red", "Yellow")},
    "sagittal": {"along": "Yellow", "across": ("Red", "Green")},
}
#: geometry of the source and its shape in KJI
VOLUMES: dict[str, tuple[np.ndarray, tuple[int, int, int]]] = {
    "plain": (matrix((2.0, 2.0, 3.0)), (64, 64, 64)),
    "flipped": (matrix((2.0, 2.0, 3.0), flips=(1, 1, -1)), (64, 64, 64)),
    "mirrored": (matrix((2.0, 2.0, 3.0), flips=(1, -1, -1)), (64, 64, 64)),
    "sagittal file": (matrix((2.5, 2.0, 2.0), flips=(1, -1, -1), order=(1, 2, 0)), (64, 64, 64)),
    "coronal file": (matrix((2.0, 2.5, 2.0), flips=(-1, -1, 1), order=(0, 2, 1)), (64, 64, 64)),
    "anisotropic": (matrix((0.9, 0.9, 5.0)), (64, 192, 160)),
}


@pytest.fixture
def scene(application: Any) -> Iterator[Scene]:
    made = Scene(application)
    yield made
    made.close()


def away(scene: Scene, planted: Planted, name: str) -> None:
    """Scroll a view away from the landmark, and check that it is not seen there."""
    logic = scene.layout.sliceWidget(name).sliceLogic()
    bounds = [0.0] * 6
    logic.GetLowestVolumeSliceBounds(bounds)
    logic.SetSliceOffset(bounds[4] + 0.15 * (bounds[5] - bounds[4]))
    assert not scene.shows_landmark(name, planted)


@pytest.mark.parametrize("plane", VIEWS)
@pytest.mark.parametrize("volume", VOLUMES)
def test_a_cell_shows_the_landmark_in_every_plane(
    application: Any, scene: Scene, volume: str, plane: str
) -> None:
    planted = plant(application, *VOLUMES[volume], plane=plane)
    along, across = VIEWS[plane]["along"], VIEWS[plane]["across"]
    scene.manager.show(planted.shown)
    scene.draw()

    away(scene, planted, along)
    scene.click(along, scene.manager.strip_in(along).cell_middle(planted.index))
    assert scene.shows_landmark(along, planted)
    assert scene.manager.current_index() == planted.index

    for name in across:
        away(scene, planted, along)
        strip = scene.manager.strip_in(name)
        (column,) = strip.columns
        # no index here: the strip is clicked beside the landmark's own place in the picture
        x, y, _ = scene.pixel_of(name, planted.landmark_ras)
        middle = sum(column.across) / 2
        own_offset = scene.node(name).GetSliceOffset()
        scene.click(name, (middle, y) if column.axis.vertical else (x, middle))
        assert scene.shows_landmark(along, planted)
        assert scene.node(name).GetSliceOffset() == own_offset


def test_the_upper_end_is_the_greater_offset(application: Any, scene: Scene) -> None:
    planted = plant(application, *VOLUMES["plain"])
    scene.manager.show(planted.shown)
    scene.draw()
    strip = scene.manager.strip_in("Red")
    logic = scene.layout.sliceWidget("Red").sliceLogic()
    heights = []
    for index in (0, 15, 31):
        scene.manager.jump(index)
        scene.draw()
        (column,) = strip.columns
        first, last = column.axis.cell(index)
        assert first <= column.marker <= last
        heights.append((logic.GetSliceOffset(), column.marker))
    assert sorted(heights) == sorted(heights, key=lambda pair: pair[1])
    assert heights[0] > heights[-1]  # model slices run from superior to inferior


@pytest.mark.parametrize("tilt", [17.0, 40.0])
def test_an_oblique_volume_in_its_own_planes(application: Any, scene: Scene, tilt: float) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0), tilt_degrees=tilt), (64, 64, 64))
    for name in ("Red", "Green", "Yellow"):
        scene.node(name).RotateToVolumePlane(planted.node)
        scene.layout.sliceWidget(name).sliceLogic().FitSliceToBackground()
    scene.manager.show(planted.shown)
    scene.draw()
    normal = planted.shown.stack.normal_ras
    (along,) = [
        name
        for name in ("Red", "Green", "Yellow")
        if scene.manager.strip_in(name).scrolls_along(planted.shown.stack)
    ]
    assert abs(normal @ scene.manager.strip_in(along).geometry().normal_ras) == pytest.approx(1)
    away(scene, planted, along)
    scene.click(along, scene.manager.strip_in(along).cell_middle(planted.index))
    assert scene.shows_landmark(along, planted)


@pytest.mark.parametrize("tilt", [3.0, 17.0, 40.0])
def test_planes_that_cut_a_view_obliquely_meet_the_strip_where_its_cells_are(
    application: Any, scene: Scene, tilt: float
) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0), tilt_degrees=tilt), (64, 64, 64))
    scene.manager.show(planted.shown)
    scene.draw()
    stack = planted.shown.stack
    for name in ("Red", "Green", "Yellow"):
        strip = scene.manager.strip_in(name)
        (column,) = strip.columns
        assert not column.axis.scrolling
        to_ras = strip.geometry().xy_to_ras
        seen = [index for index in range(32) if strip.cell_middle(index)]
        assert seen
        for index in seen:
            x, y = strip.cell_middle(index)
            level = stack.level((to_ras @ [x, y, 0, 1])[:3])
            assert level == pytest.approx(index, abs=0.5)
            assert strip.cell_at(x, y).index == index


def test_zoom_pan_and_resize_are_followed(application: Any, scene: Scene) -> None:
    planted = plant(application, *VOLUMES["plain"])
    scene.manager.show(planted.shown)
    strip, node = scene.manager.strip_in("Green"), scene.node("Green")

    def at_landmark() -> bool:
        scene.draw()
        _, y, _ = scene.pixel_of("Green", planted.landmark_ras)
        middle = strip.cell_middle(planted.index)
        first, last = strip.columns[0].axis.cell(planted.index)
        return middle is not None and first - 1 <= y <= last + 1

    assert at_landmark()
    before = strip.columns[0].axis.step
    width, height, depth = node.GetFieldOfView()
    node.SetFieldOfView(width / 2, height / 2, depth)
    x, y, z = node.GetXYZOrigin()
    landmark = scene.pixel_of("Green", planted.landmark_ras)
    node.SetXYZOrigin(
        x + (landmark[0] - node.GetDimensions()[0] / 2) * node.GetFieldOfView()[0] / width * 2,
        y + 20, z,
    )  # fmt: skip
    assert at_landmark()
    assert abs(strip.columns[0].axis.step) == pytest.approx(2 * abs(before))
    node.SetXYZOrigin(x, y + 10, z)
    assert at_landmark()

    size = application.window.size
    try:
        application.window.resize(1100, 700)
        application.process()
        assert at_landmark()
        right = strip.columns[0].across[1]
        assert right == strip.geometry().size[0] - 10
    finally:
        application.window.resize(size)
        application.process()


def test_orientation_changes_are_followed(application: Any, scene: Scene) -> None:
    planted = plant(application, *VOLUMES["plain"])
    scene.manager.show(planted.shown)
    scene.draw()
    strip = scene.manager.strip_in("Red")
    assert strip.columns[0].axis.scrolling
    scene.node("Red").SetOrientation("Coronal")
    scene.draw()
    assert not strip.columns[0].axis.scrolling
    assert scene.manager.strip_in("Green").columns[0].marker is None  # no view scrolls along now
    scene.node("Green").SetOrientation("Axial")
    scene.draw()
    assert scene.manager.strip_in("Green").columns[0].axis.scrolling
    assert strip.columns[0].marker is not None


def test_cells_beyond_the_view_are_cut_and_do_not_react(application: Any, scene: Scene) -> None:
    planted = plant(application, *VOLUMES["plain"])
    scene.manager.show(planted.shown)
    node = scene.node("Green")
    width, height, depth = node.GetFieldOfView()
    node.SetFieldOfView(width / 8, height / 8, depth)
    scene.draw()
    strip = scene.manager.strip_in("Green")
    seen = [index for index in range(32) if strip.cell_middle(index)]
    assert 1 <= len(seen) < 8
    middle = sum(strip.columns[0].across) / 2
    assert strip.cell_at(middle, 2) is None
