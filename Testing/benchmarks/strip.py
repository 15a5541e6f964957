"""What the strip costs: frames of a slice view with it and without it, alternately in one run.

Draws offscreen with slicer-core, without the Slicer application. Four cases: a frame in which
nothing of the strip changed; a frame after scrolling (the marker moves); with two exchanges side by
side, the frame in which the card of a cell appears under the mouse; and scrolling while it is
there. Times are processor time of the process, to which other programs on the machine do not add.

    python Testing/benchmarks/strip.py --json strip.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Med2E3Slicer" / "Logic"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "slicer"))

import numpy as np
import slicer
import vtk
from harness import i18n

sys.modules["slicer.i18n"] = slicer.i18n = i18n  # Slicer has it, slicer-core has not

from med2e3.volume import MODEL_SIZE, prepare, volume_from_slicer  # noqa: E402
from med2e3_slicer.strip import Shown, SliceStrip  # noqa: E402

SHAPE, SIZE = (60, 128, 128), (640, 480)
IJK_TO_RAS = np.diag([-2.5, -2.5, 5.0, 1.0])


class View:
    """A slice view with a volume in it."""

    def __init__(self) -> None:
        self.scene = slicer.vtkMRMLScene()
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene)
        application = slicer.vtkMRMLApplicationLogic()
        application.SetSliceLogics(vtk.vtkCollection())
        application.SetMRMLScene(self.scene)
        self.application = application
        node = self.scene.CreateNodeByClass("vtkMRMLSliceNode")
        node.UnRegister(None)
        node.SetLayoutName("Red")
        node.SetSingletonTag("Red")
        self.node = self.scene.AddNode(node)
        self.node.SetOrientation("Axial")
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application)
        self.logic.SetMRMLScene(self.scene)
        self.logic.SetSliceNode(self.node)
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*SIZE)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self.interactor.Initialize()
        self.logic.ResizeSliceNode(*SIZE)

    def show(self, voxels: np.ndarray) -> None:
        """Put a volume into the view."""
        volume = slicer.vtkMRMLScalarVolumeNode()
        self.scene.AddNode(volume)
        image = vtk.vtkImageData()
        image.SetDimensions(*voxels.shape[::-1])
        image.GetPointData().SetScalars(
            vtk.util.numpy_support.numpy_to_vtk(voxels.ravel(), deep=True)
        )
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy(IJK_TO_RAS.ravel())
        volume.SetIJKToRASMatrix(matrix)
        volume.SetAndObserveImageData(image)
        volume.CreateDefaultDisplayNodes()
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        self.logic.FitSliceToAll()
        self.logic.UpdatePipeline()
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(self.logic.GetImageDataConnection())
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(actor)

    def frame(self) -> float:
        """Draw, and return the milliseconds of processor time that this process took."""
        began = time.process_time()
        self.window.Render()
        self.window.WaitForCompletion()
        return 1000 * (time.process_time() - began)


def compare(
    view: View,
    strip: SliceStrip,
    before: Callable[[int], None],
    frames: int,
    settle: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Frames with and without the strip, taken in turn."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(frames):
        for visible in (number % 2 == 0, number % 2 == 1):
            strip.visible = visible
            view.frame()  # what appearing and vanishing costs is not counted
            if settle is not None:
                settle()
                view.frame()
            before(2 * number + visible)
            times[visible].append(view.frame())
    with_strip, without = statistics.median(times[True]), statistics.median(times[False])
    return {
        "with_strip_ms": round(with_strip, 3),
        "without_strip_ms": round(without, 3),
        "cost_ms": round(with_strip - without, 3),
        "ratio": round(with_strip / without, 3),
        "frames_each": frames,
    }


def main() -> None:
    """Parse arguments, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    arguments = parser.parse_args()

    random = np.random.default_rng(0)
    voxels = random.integers(-1000, 1000, SHAPE).astype(np.int16)
    view = View()
    view.show(voxels)
    slice_map = prepare(volume_from_slicer(voxels, IJK_TO_RAS)).slice_map
    scores = [random.dirichlet(np.ones(MODEL_SIZE[0])).tolist() for _ in range(2)]
    first, second = (Shown(slice_map, each, "Where is it?") for each in scores)
    strip = SliceStrip(
        view.renderer, view.interactor, view.logic, request_render=lambda: None, legend=True
    )
    limits, step = [0.0, 0.0], vtk.reference(0.0)
    view.logic.GetSliceOffsetRangeResolution(limits, step)

    def scroll(number: int) -> None:
        share = (number // 2) % 50 / 50
        view.logic.SetSliceOffset(limits[0] + share * (limits[1] - limits[0]))

    def hover(_number: int = 0) -> None:
        place = strip.cell_middle(20, 1)
        if place is not None:
            view.interactor.SetEventInformation(round(place[0]), round(place[1]))
            view.interactor.InvokeEvent("MouseMoveEvent")

    strip.show(first)
    view.frame()
    measured = {
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "renderer": view.window.ReportCapabilities().split("OpenGL renderer string:")[-1]
        .split("\n")[0].strip(),
        "view": f"{SIZE[0]} x {SIZE[1]}",
        "unchanged": compare(view, strip, lambda _: None, arguments.frames),
        "scrolled": compare(view, strip, scroll, arguments.frames),
    }  # fmt: skip
    strip.show(first, second)
    measured["two_hover_begins"] = compare(view, strip, hover, arguments.frames)
    measured["two_hovered_scrolled"] = compare(view, strip, scroll, arguments.frames, hover)
    text = json.dumps(measured, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
