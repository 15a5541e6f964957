"""What 3D Slicer discovers: the module Med2E3Slicer, its panel, its logic and its self-test.

This file knows Slicer's classes and when Slicer calls them; everything else is in the package
``med2e3_slicer``, which is imported when the module is opened and not before.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

HERE = Path(__file__).resolve().parent
#: holds the packages of this extension; it is searched, never imported as a package itself
PACKAGES = str(HERE / "Logic")
if PACKAGES not in sys.path:
    sys.path.insert(0, PACKAGES)

#: Slicer's own sample of a chest (SlicerTestingData), by its checksum
SAMPLE_SHA256 = "4507b664690840abb6cb9af2d919377ffc4ef75b167cb6fd0f747befdb12e38e"
SAMPLE_ADDRESS = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"


class Med2E3Slicer(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Med2E3Slicer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Informatics")]
        parent.dependencies = ["Plots"]  # loaded before and unloaded after this module
        parent.contributors = ["Med2E3Slicer founders"]
        parent.helpText = _(
            "<p>Reports and answers about a CT volume by the vision-language model Med-2E3. Each "
            "answer comes with a score for each of the 32 slices that the model reads; the strip "
            "in the slice views shows where the model attended to.</p>"
            "<p>Choose a volume, press <b>Generate report</b> or type a question and press "
            "<b>Ask</b> (Ctrl+Enter). Click a cell of the strip to see its slice. Answers are kept "
            "in the scene.</p>"
            "<p><b>For research only, not for diagnosis.</b></p>"
        )
        parent.acknowledgementText = _(
            "<p>Please cite the model: Y. Shi, X. Zhu, K. Wang, Y. Hu, C. Guo, M. Li, J. Wu. "
            "Med-2E3: A 2D-Enhanced 3D Medical Multimodal Large Language Model. IEEE BIBM 2025, "
            "arXiv:2411.12783.</p>"
            "<p>3D encoder, data and evaluation: F. Bai, Y. Du, T. Huang, M. Q.-H. Meng, B. Zhao. "
            "M3D: Advancing 3D Medical Image Analysis with Multi-Modal Large Language Models, "
            "2024, arXiv:2404.00578.</p>"
            "<p>3D Slicer: A. Fedorov et al. 3D Slicer as an Image Computing Platform for the "
            "Quantitative Imaging Network. Magnetic Resonance Imaging 30(9), 2012.</p>"
        )
        slicer.app.connect("startupCompleted()", register_sample_data)


def register_sample_data() -> None:
    """List the volume of the tutorial in the module Sample Data; downloads nothing."""
    try:
        import SampleData  # noqa: PLC0415 (absent where Slicer was built without it)
    except ImportError:
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Med2E3Slicer",
        sampleName="Med2E3ChestCT",
        thumbnailFileName=str(HERE / "Resources" / "Icons" / "Med2E3Slicer.png"),
        uris=SAMPLE_ADDRESS + SAMPLE_SHA256,
        fileNames="CT-chest.nrrd",
        nodeNames="CTChest",
        checksums=f"SHA256:{SAMPLE_SHA256}",
    )


class Med2E3SlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Opens the panel and tells it when scenes come and go."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Any = None
        self.panel: Any = None

    def setup(self) -> None:
        """Make the panel; called once, when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        from med2e3_slicer.panel.panel import Panel  # noqa: PLC0415
        from med2e3_slicer.panel.wiring import real_parts  # noqa: PLC0415

        self.logic = Med2E3SlicerLogic()
        self.panel = Panel(
            lambda name: slicer.util.loadUI(self.resourcePath(f"UI/{name}.ui")),
            slicer.util.childWidgetVariables,
            real_parts(self.logic.med2e3, self.open_set_up),
        )
        self.layout.addWidget(self.panel.widget, 1)  # all the height that there is
        self.panel.widget.setMRMLScene(slicer.mrmlScene)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.on_scene_closes)
        self.addObserver(scene, scene.EndCloseEvent, self.on_scene_changed)
        self.addObserver(scene, scene.StartImportEvent, self.on_scene_loads)
        self.addObserver(scene, scene.EndImportEvent, self.on_scene_changed)
        selection = slicer.app.applicationLogic().GetSelectionNode()
        if selection is not None:
            self.addObserver(selection, vtk.vtkCommand.ModifiedEvent, self.on_selection_changed)
        self.open_parameters()

    def enter(self) -> None:
        """Called each time a person comes to the module."""
        self.open_parameters()

    def exit(self) -> None:
        """Called each time a person leaves the module; a question under way goes on."""
        if self.panel is not None:
            self.panel.leave()

    def cleanup(self) -> None:
        """Called before the widget is deleted."""
        self.removeObservers()
        opening = sys.modules.get("med2e3_slicer.install.opening")
        if opening is not None:  # the set-up page was opened
            opening.close_set_up()
        panel, self.panel = self.panel, None
        logic, self.logic = self.logic, None
        try:
            if panel is not None:
                panel.close()
        finally:  # whatever happened to the panel, no engine may be left behind
            if logic is not None:
                logic.close()

    def onReload(self) -> None:  # noqa: N802 (Slicer's name)
        """Load the packages anew, not only this file."""
        self.cleanup()
        for name in list(sys.modules):
            if name.split(".")[0] in ("med2e3", "med2e3_slicer"):
                del sys.modules[name]
        importlib.invalidate_caches()
        ScriptedLoadableModuleWidget.onReload(self)

    def open_parameters(self) -> None:
        """Show the scene's choices; in a new scene choose the volume that is shown."""
        if self.panel is None:
            return
        parameters = self.logic.getParameterNode()
        if parameters.inputVolume is None:
            from med2e3_slicer.panel.volume_notes import usual_volume  # noqa: PLC0415

            parameters.inputVolume = usual_volume()
        self.panel.set_scene_parameters(parameters)

    def open_set_up(self) -> None:
        """Open the page that installs the engine and the models; the panel hears of its work."""
        self.logic.open_set_up(self.on_set_up_changed)

    def on_set_up_changed(self) -> None:
        """The engine or models came or went."""
        if self.panel is not None:
            self.panel.refresh_machine()

    def on_scene_closes(self, _caller: Any, _event: str) -> None:
        """The scene's nodes go away."""
        if self.panel is not None:
            self.panel.scene_closes()

    def on_scene_loads(self, _caller: Any, _event: str) -> None:
        """Nodes of a file come into the scene."""
        if self.panel is not None:
            self.panel.scene_loads()

    def on_scene_changed(self, _caller: Any, _event: str) -> None:
        """A scene was closed or loaded."""
        if self.panel is not None:
            self.open_parameters()
            self.panel.scene_changed()

    def on_selection_changed(self, _caller: Any, _event: str) -> None:
        """Slicer shows another volume, such as one just loaded; meant where none is chosen yet."""
        if self.panel is None or self.panel.volume is not None or not self.parent.isEntered:
            return
        if not (slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting()):  # their end tells
            self.open_parameters()


class Med2E3SlicerLogic(ScriptedLoadableModuleLogic):
    """For Slicer's Python console and for scripts: ``report``, ``ask`` and their kin.

    Everything that :class:`med2e3_slicer.logic.Med2E3Logic` offers can be called on it.
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        from med2e3_slicer.logic import Med2E3Logic  # noqa: PLC0415

        self.med2e3 = Med2E3Logic()

    def __getattr__(self, name: str) -> Any:
        if name == "med2e3":
            raise AttributeError(name)
        return getattr(self.med2e3, name)

    def getParameterNode(self) -> Any:  # noqa: N802 (Slicer's name)
        """The panel's choices in the scene."""
        from med2e3_slicer.panel.parameters import PanelParameters  # noqa: PLC0415

        return PanelParameters(super().getParameterNode())  # type: ignore[call-arg]  # wrapped

    def open_set_up(self, changed: Callable[[], None] = lambda: None) -> None:
        """Open the page that installs the engine and the models.

        ``changed`` is called when the engine or models came or went.
        """
        from med2e3_slicer.install import open_set_up  # noqa: PLC0415

        open_set_up(self.med2e3, changed=changed)

    def close(self) -> None:
        """End the engine and everything else that was started."""
        self.med2e3.shutdown()


class Med2E3SlicerTest(ScriptedLoadableModuleTest):
    """What Slicer's "Reload and Test" and ``slicer.testing.runUnitTest`` run."""

    def setUp(self) -> None:
        """Begin each test with an empty scene."""
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:  # noqa: N802 (Slicer's name)
        """Run all tests, as "Reload and Test" does."""
        from med2e3_slicer.panel import selftest  # noqa: PLC0415

        for test in selftest.TESTS:
            self.setUp()
            self.delayDisplay((test.__doc__ or test.__name__).splitlines()[0])
            test(self)
        self.delayDisplay(_("Test passed"))

    def test_all(self) -> None:
        """The same, for Python's unittest."""
        self.runTest()
