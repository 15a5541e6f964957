"""Volumes with a planted landmark, and strips over them, for the tests of the strip.

Knows the harness. Where the landmark is follows from the voxels alone: the model slice that is hot
is the one in whose picture the landmark is brightest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from med2e3.volume import ModelInput, prepare, volume_from_slicer
from med2e3_slicer.strip import Shown, StripManager

BODY, LANDMARK = 40, 900
#: where the landmark is, in parts of each axis of the source: I, J, K
PLACE = (0.64, 0.38, 0.7)


def matrix(
    spacing: tuple[float, float, float],
    flips: tuple[int, int, int] = (-1, -1, 1),
    order: tuple[int, int, int] = (0, 1, 2),
    tilt_degrees: float = 0.0,
) -> np.ndarray:
    """IJK to RAS: I, J, K along the patient's axes in this order, then tilted about two of them."""
    axes = np.zeros((3, 3))
    for column, axis in enumerate(order):
        axes[axis, column] = flips[column]
    angle = np.radians(tilt_degrees)
    c, s = np.cos(angle), np.sin(angle)
    about_r = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    about_s = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    result = np.eye(4)
    result[:3, :3] = about_s @ about_r @ axes @ np.diag(spacing)
    result[:3, 3] = (11.0, -23.0, 37.0)
    return result


@dataclass
class Planted:
    """A volume with a landmark in the scene.

    Args:
        node: the volume node.
        landmark_ras: middle of the landmark, mm.
        model_input: what the model would see.
        index: the model slice in whose picture the landmark is brightest.
        shown: scores that are highest there.
    """

    node: Any
    landmark_ras: np.ndarray
    model_input: ModelInput
    index: int
    shown: Shown


def plant(
    application: Any,
    ijk_to_ras: np.ndarray,
    shape_kji: tuple[int, int, int] = (64, 64, 64),
    plane: str = "axial",
) -> Planted:
    """Add a volume with a landmark to the scene and fit all views to it."""
    voxels = np.full(shape_kji, -1000, np.int16)
    margin = [length // 16 for length in shape_kji]
    voxels[tuple(slice(m, n - m) for m, n in zip(margin, shape_kji, strict=True))] = BODY
    middle_ijk = [round(part * n) for part, n in zip(PLACE, shape_kji[::-1], strict=True)]
    half = [max(1, n // 32) for n in shape_kji[::-1]]
    i, j, k = (slice(m - h, m + h) for m, h in zip(middle_ijk, half, strict=True))
    voxels[k, j, i] = LANDMARK
    landmark = ijk_to_ras @ [*(m - 0.5 for m in middle_ijk), 1.0]

    slicer = application.slicer
    node = slicer.util.addVolumeFromArray(voxels, ijkToRAS=ijk_to_ras, name="CT")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(2000, 0)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    application.process()

    model_input = prepare(volume_from_slicer(voxels, ijk_to_ras), plane=plane, window="bone")
    brightest = model_input.voxels.reshape(len(model_input.slice_map), -1).sum(axis=1)
    body = np.median(brightest)
    index = int(np.argmax(brightest - body))
    return Planted(
        node, landmark[:3], model_input, index, Shown(model_input.slice_map, hot(index), "Where?")
    )


def hot(index: int, count: int = 32, times_uniform: float = 3.2) -> list[float]:
    """Scores with one slice at so many times uniform and all others alike."""
    scores = np.full(count, (1 - times_uniform / count) / (count - 1))
    scores[index] = times_uniform / count
    return [float(score) for score in scores]


class Scene:
    """Strips in the views of the harness, and what a test asks of them."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.layout = application.app.layoutManager()
        self.manager = StripManager.for_layout(self.layout, application.scene)

    def close(self) -> None:
        """Take the strips away."""
        self.manager.cleanup()

    def canvas(self, name: str) -> Any:
        """The widget that gets a view's mouse."""
        return self.layout.sliceWidget(name).sliceView().VTKWidget()

    def node(self, name: str) -> Any:
        """A view's slice node."""
        return self.layout.sliceWidget(name).mrmlSliceNode()

    def picture(self, name: str) -> np.ndarray:
        """What a view shows now: an array (height, width, 3) of bytes, first row uppermost."""
        self.draw()
        qt = self.application.qt
        image = self.canvas(name).grab().toImage().convertToFormat(qt.QImage.Format_RGB888)
        width, height, line = image.width(), image.height(), image.bytesPerLine()
        rows = np.frombuffer(image.constBits(), np.uint8).reshape(height, line).copy()
        return rows[:, : 3 * width].reshape(height, width, 3)

    def view_names(self) -> list[str]:
        """The slice views that are shown now."""
        names = self.layout.sliceViewNames()
        return [name for name in names if self.node(name).IsMappedInLayout()]

    def draw(self) -> None:
        """Draw all views now."""
        for name in self.view_names():
            self.layout.sliceWidget(name).sliceView().forceRender()
        self.application.process()

    def pixel_of(self, name: str, point_ras: np.ndarray) -> np.ndarray:
        """Where a point lies in a view, pixels from the lower left corner."""
        m = self.node(name).GetXYToRAS()
        xy_to_ras = np.array([[m.GetElement(r, c) for c in range(4)] for r in range(4)])
        return np.linalg.solve(xy_to_ras, [*point_ras, 1.0])[:3]

    def click(self, name: str, xy: tuple[float, float]) -> None:
        """Move the mouse to a pixel of a view (from the lower left corner) and click."""
        canvas = self.canvas(name)
        place = (round(xy[0]), round(canvas.size.height() - 1 - xy[1]))
        self.application.move(canvas, *place)
        self.application.click(canvas, *place)
        self.draw()

    def hover(self, name: str, xy: tuple[float, float]) -> None:
        """Move the mouse to a pixel of a view (from the lower left corner)."""
        canvas = self.canvas(name)
        self.application.move(canvas, round(xy[0]), round(canvas.size.height() - 1 - xy[1]))
        self.draw()

    def brightness(self, name: str, point_ras: np.ndarray) -> int:
        """How bright a view is where a point would be in its picture."""
        picture = self.picture(name)
        x, y, _ = self.pixel_of(name, point_ras)
        return int(picture[round(picture.shape[0] - 1 - y), round(x)].max())

    def shows_landmark(self, name: str, planted: Planted) -> bool:
        """Whether a view shows the landmark where it would be in its picture."""
        return self.brightness(name, planted.landmark_ras) > 200

    def color(self, name: str, xy: tuple[float, float]) -> tuple[int, int, int]:
        """The colour of a pixel of a view, counted from the lower left corner."""
        picture = self.picture(name)
        red, green, blue = picture[round(picture.shape[0] - 1 - xy[1]), round(xy[0])]
        return int(red), int(green), int(blue)
