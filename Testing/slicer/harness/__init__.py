"""A headless stand-in for the Slicer application, for tests; see ``../README.md``.

slicer-core takes every folder named ``slicer`` on ``sys.path`` for a part of itself and imports
what lies in it.  The folder of these tests is such a folder (pytest puts ``Testing`` on the path),
so slicer-core is imported here first, with those entries taken out.
"""

import sys
from importlib import util
from pathlib import Path

_OURS = Path(__file__).resolve().parents[1]


def _import_slicer() -> None:
    if "slicer" in sys.modules:
        return
    kept = list(sys.path)
    sys.path[:] = [each for each in kept if Path(each or ".").resolve() / "slicer" != _OURS]
    try:
        if util.find_spec("slicer") is not None:
            __import__("slicer")
    finally:
        sys.path[:] = kept


_import_slicer()
