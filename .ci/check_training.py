"""Check what a miniature training left: ``python .ci/check_training.py FOLDER``.

This script knows the stages' folders and their histories; what is learned is the tests' business.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

#: folder of a stage → the logged figure that must fall
STAGES = {
    "1-dense": "loss",
    "2-contrastive": "loss",
    "3-language": "loss",
    "4-labels": "answer_loss",
    "5-tokens": "loss",
    "6-alignment": "answer_loss",
    "7-instruction": "answer_loss",
}


def main(folder: Path) -> int:
    """Raise with the reason when something is missing; print one line for each stage."""
    for name, figure in STAGES.items():
        history = json.loads((folder / name / "history.json").read_text(encoding="utf-8"))
        values = [entry[figure] for entry in history if figure in entry]
        if not values[-1] < values[0]:
            raise ValueError(f"{figure} of {name} does not fall: {values}")
        print(f"{name}: {figure} from {values[0]:.3f} to {values[-1]:.3f}")
    for file in ("model.safetensors", "config.json", "processor_config.json", "README.md"):
        if not (folder / "7-instruction" / "model" / file).is_file():
            raise ValueError(f"the trained model lacks {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
