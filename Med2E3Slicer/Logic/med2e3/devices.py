"""Names of the devices and number formats that a model can run with.

Knows the names only, so that options can be checked before torch is loaded; which of them this
machine has is found out by :mod:`med2e3.session.devices`.
"""

from __future__ import annotations

AUTO = "auto"
DEVICE_NAMES = ("cuda", "mps", "cpu")
#: number format to bytes of one number
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
DTYPE_NAMES = tuple(DTYPE_BYTES)
