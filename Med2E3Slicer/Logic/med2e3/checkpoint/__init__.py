"""Published checkpoints: reading, checking, converting (heavy half)."""

from med2e3.checkpoint.convert import ConversionReport, convert_checkpoint

__all__ = ["ConversionReport", "convert_checkpoint"]
