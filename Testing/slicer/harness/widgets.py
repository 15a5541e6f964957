"""placeholder"""

from __future__ import annotations
import types
from typing import Any


def ctk_module() -> Any:
    return types.ModuleType("ctk")
