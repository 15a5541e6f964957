"""What 3D Slicer discovers: the module Med2E3Slicer and its panel.

This file knows the module's title, its acknowledgements, and where the Python package ``med2e3``
lies.  It does not know the model, and it starts nothing.
"""

import sys
from pathlib import Path

import qt
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

#: holds the packages of this extension; it is searched, never imported as a package itself
PACKAGES = str(Path(__file__).resolve().parent / "Logic")
if PACKAGES not in sys.path:
    sys.path.insert(0, PACKAGES)


class Med2E3Slicer(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Med2E3Slicer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Informatics")]
        parent.dependencies = []
        parent.contributors = ["Med2E3Slicer founders"]
        parent.helpText = _(
            "Reports and answers about a CT volume by the vision-language model Med-2E3, with one "
            "score for each of the 32 slices that the model reads. This version works from the "
            "command line; a panel in Slicer is being prepared. For research only, not for "
            "diagnosis."
        )
        parent.acknowledgementText = _(
            "Model: Y. Shi et al., Med-2E3: A 2D-Enhanced 3D Medical Multimodal Large Language "
            "Model, IEEE BIBM 2025. 3D encoder, data and evaluation: F. Bai et al., M3D: Advancing "
            "3D Medical Image Analysis with Multi-Modal Large Language Models, 2024."
        )


class Med2E3SlicerWidget(ScriptedLoadableModuleWidget):
    """A page that says what this version can do."""

    def setup(self):
        """Fill the panel; called once, when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        from med2e3 import __version__  # noqa: PLC0415  (only when a person opens the module)
        from med2e3.notice import NOTICE  # noqa: PLC0415

        text = _(
            "<p>Version {version} answers questions about a CT volume from the command line. "
            "A panel in Slicer is being prepared.</p>"
            "<p>In a terminal, with the Python package installed:</p>"
            "<pre>med2e3 report VOLUME\nmed2e3 ask VOLUME QUESTION</pre>"
            "<p>A volume saved from Slicer as NRRD or NIfTI can be given as VOLUME.</p>"
            "<p><b>{notice}</b></p>"
        ).format(version=__version__, notice=NOTICE)
        self.label = qt.QLabel(text)
        self.label.wordWrap = True
        self.label.textInteractionFlags = qt.Qt.TextSelectableByMouse
        self.layout.addWidget(self.label)
        self.layout.addStretch(1)


class Med2E3SlicerLogic(ScriptedLoadableModuleLogic):
    """Nothing runs inside Slicer in this version."""


class Med2E3SlicerTest(ScriptedLoadableModuleTest):
    """What Slicer's "Reload and Test" runs."""

    def runTest(self):  # noqa: N802  (Slicer's name)
        """Check that the package of this extension is the one that Slicer imports."""
        import med2e3  # noqa: PLC0415

        self.assertTrue(Path(med2e3.__file__).is_relative_to(PACKAGES))
        self.delayDisplay(_("Test passed"))
