"""The engine as Slicer uses it: a child process or a server, without ever waiting for it."""

from med2e3_slicer.engine.address import EngineAddress
from med2e3_slicer.engine.background import Background
from med2e3_slicer.engine.client import Answering, Putting, QtEngineClient
from med2e3_slicer.engine.consent import ConsentNeeded, ConsentRequest, Consents, consent_request
from med2e3_slicer.engine.control import EngineControl
from med2e3_slicer.engine.process import (
    EngineCommand,
    EngineError,
    EngineLost,
    EngineProcess,
    EngineUnusable,
)
from med2e3_slicer.engine.settings import EngineChoice, EngineSettings
from med2e3_slicer.engine.steps import Steps
from med2e3_slicer.engine.waiting import EngineState, Waiting

__all__ = [
    "Answering",
    "Background",
    "ConsentNeeded",
    "ConsentRequest",
    "Consents",
    "EngineAddress",
    "EngineChoice",
    "EngineCommand",
    "EngineControl",
    "EngineError",
    "EngineLost",
    "EngineProcess",
    "EngineSettings",
    "EngineState",
    "EngineUnusable",
    "Putting",
    "QtEngineClient",
    "Steps",
    "Waiting",
    "consent_request",
]
