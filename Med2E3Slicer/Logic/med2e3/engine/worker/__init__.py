"""The model in a process of its own, watched and started again (no torch in this process)."""

from med2e3.engine.worker.backend import WorkerBackend

__all__ = ["WorkerBackend"]
