"""Asking an engine, wherever it runs (light half: numpy and the standard library).

Knows sockets and processes; knows no Qt, and nothing of how an answer is made.
"""

from med2e3.client.engine import Engine, VolumeInput
from med2e3.client.local import LocalEngine
from med2e3.client.remote import RemoteEngine

__all__ = ["Engine", "LocalEngine", "RemoteEngine", "VolumeInput"]
