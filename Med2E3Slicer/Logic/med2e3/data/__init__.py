"""Training and test data: questions about prepared volumes (no torch)."""

from med2e3.data.sample import TOPICS, Sample, read_samples, write_samples
from med2e3.data.store import VolumeEntry, VolumeStore

__all__ = [
    "TOPICS",
    "Sample",
    "VolumeEntry",
    "VolumeStore",
    "read_samples",
    "write_samples",
]
