"""What of the panel belongs to the scene, kept in Slicer's parameter node.

The device, the precision and the remote engine's address belong to the computer instead
(:mod:`med2e3_slicer.engine.settings`), so that a scene never carries them to another one.
"""

from __future__ import annotations

from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class PanelParameters:
    """The panel's choices in the scene.

    ``seed`` is -1 for a new one each time; ``layoutBeforePlot`` is the layout to go back to when
    the plot is closed, -1 where the layout had a plot view of its own.
    """

    inputVolume: vtkMRMLScalarVolumeNode  # noqa: N815 (Slicer's convention)
    model: str = ""
    question: str = ""
    multipleChoice: bool = False  # noqa: N815
    choices: list[str]
    window: str = "display"
    plane: str = "axial"
    sliceOrder: str = "standard"  # noqa: N815
    longestAnswer: int = 256  # noqa: N815
    temperature: float = 0.0
    seed: int = -1
    showStrips: bool = True  # noqa: N815
    showPlot: bool = False  # noqa: N815
    layoutBeforePlot: int = -1  # noqa: N815
