"""Started by the engine's Python: downloads one model and tells how far it is, as JSON lines.

Knows ``med2e3.weights``; the licence was shown and accepted before this is started. The engine's
Python has neither Slicer nor Qt.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

_EVERY_S = 0.2


def _say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def _download(name: str, folder: str) -> None:
    from med2e3.weights import Store, find_entry, store_dir  # noqa: PLC0415
    from med2e3.weights.hub import choose_hub  # noqa: PLC0415
    from med2e3.weights.install import Reporter, install  # noqa: PLC0415
    from med2e3.weights.plan import (  # noqa: PLC0415
        installed_already,
        plan_from_folder,
        plan_from_hub,
    )

    class Lines(Reporter):
        """Tells each step at once, and bytes not too often."""

        last = 0.0

        def stage(self, sentence: str) -> None:
            _say(stage=sentence)

        def note(self, sentence: str) -> None:
            _say(stage=sentence)

        def received(self, done_bytes: int, total_bytes: int) -> None:
            now = time.monotonic()
            if now - self.last >= _EVERY_S or done_bytes == total_bytes:
                self.last = now
                _say(done=done_bytes, total=total_bytes)

    entry, store, lines = find_entry(name), Store(store_dir()), Lines()
    if installed_already(entry, store) is not None:
        return
    if folder:
        plan = plan_from_folder(entry, store, Path(folder))
    else:
        plan = plan_from_hub(entry, store, choose_hub(None), notify=lines.note)
    plan.require_disk()
    install(plan, reporter=lines)


def main() -> None:
    """``NAME [FOLDER]``."""
    if hasattr(os, "setsid"):
        os.setsid()  # it can be ended with everything that it started
    # the package of the extension, so that both sides speak the same version
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from med2e3.errors import Med2E3Error  # noqa: PLC0415 (only now is it on the path)

    try:
        _download(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
    except Med2E3Error as error:
        _say(error=error.sentence, hint=error.hint, detail=error.detail)
        sys.exit(1)


if __name__ == "__main__":
    main()
