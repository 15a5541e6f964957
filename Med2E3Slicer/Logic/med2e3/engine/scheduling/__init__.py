"""Whose turn it is on the device (heavy half)."""

from med2e3.engine.scheduling.scheduler import Scheduler

__all__ = ["Scheduler"]
