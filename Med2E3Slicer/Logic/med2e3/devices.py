"""Names of the devices, number formats and precisions that a model can run with.

Knows the names only, so that options can be checked before torch is loaded; which of them this
machine has is found out by :mod:`med2e3.session.devices`.
"""

from __future__ import annotations

AUTO = "auto"
DEVICE_NAMES = ("cuda", "mps", "cpu")
#: number format to bytes of one number
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
DTYPE_NAMES = tuple(DTYPE_BYTES)
#: the linear layers of the language model in 8 or 4 bits, the rest in a number format
QUANTIZED_NAMES = ("int8", "int4")
#: what ``--precision`` takes besides ``auto``, most exact first
PRECISION_NAMES = (*DTYPE_NAMES, *QUANTIZED_NAMES)
