"""Setting up the engine on this computer: checks, its own Python environment, models.

Nothing is done at import; everything can be called by a script, without dialogs.
"""

from med2e3_slicer.install.checks import Check, Level
from med2e3_slicer.install.models import ModelManager
from med2e3_slicer.install.opening import open_set_up
from med2e3_slicer.install.places import Places
from med2e3_slicer.install.recipe import Recipe
from med2e3_slicer.install.set_up import SetUp
from med2e3_slicer.install.stamp import EnvironmentState

__all__ = [
    "Check",
    "EnvironmentState",
    "Level",
    "ModelManager",
    "Places",
    "Recipe",
    "SetUp",
    "open_set_up",
]
