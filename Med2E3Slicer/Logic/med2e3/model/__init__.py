"""The model itself, with Hugging Face conventions (heavy half: torch and transformers)."""

from med2e3.model.configuration import M3DVisionConfig, Med2E3Config
from med2e3.model.modeling import (
    ImageFeatures,
    Med2E3ForConditionalGeneration,
    Med2E3Output,
    VolumeFeatures,
)
from med2e3.model.processing import Med2E3Processor
from med2e3.model.vision3d import M3DVisionModel

__all__ = [
    "ImageFeatures",
    "M3DVisionConfig",
    "M3DVisionModel",
    "Med2E3Config",
    "Med2E3ForConditionalGeneration",
    "Med2E3Output",
    "Med2E3Processor",
    "VolumeFeatures",
]
