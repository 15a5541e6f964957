"""Started by the engine's own Python, never by Slicer's: the first lines that run in the child.

Knows how a child leaves its parent's process group (so that it can be ended with everything it
started) and where the package lies; what the engine does is ``med2e3``'s. Imports nothing of its
own package, since the engine's Python has neither Slicer nor Qt.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command ``med2e3`` with this process's arguments."""
    if hasattr(os, "setsid"):
        os.setsid()  # the parent's Ctrl-C is not ours; the whole group can be killed at once
    here = Path(__file__).resolve()
    # the package of the extension, so that both sides speak the same version
    sys.path[0] = str(here.parents[2])
    from med2e3.cli.main import main as med2e3  # noqa: PLC0415 (only now is it on the path)

    sys.argv[0] = "med2e3"
    med2e3()


if __name__ == "__main__":
    main()
