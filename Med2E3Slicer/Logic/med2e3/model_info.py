"""What can be known of a model folder without loading the model (light half)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from med2e3.devices import DTYPE_BYTES
from med2e3.errors import CheckpointError
from med2e3.notice import UNTRAINED_NOTICE


@dataclass(frozen=True)
class ModelInfo:
    """A model folder's own description.

    Args:
        input_size: model input, (slices, rows, columns).
        untrained: whether the weights were never trained.
        title: a name for people.
        remark: what every output of it must say besides the general notice; may be empty.
        num_bytes: size of its weights on disk.
        dtype: number format of its weights on disk.
    """

    input_size: tuple[int, int, int]
    untrained: bool
    title: str
    remark: str
    num_bytes: int
    dtype: str

    @property
    def parameters(self) -> int:
        """About how many numbers its weights hold."""
        return self.num_bytes // DTYPE_BYTES.get(self.dtype, 4)

    @property
    def notice(self) -> str | None:
        """What must be said with its answers besides the general notice, or ``None``."""
        return UNTRAINED_NOTICE if self.untrained else self.remark or None


def read_model_info(folder: Path) -> ModelInfo:
    """Read a converted model's ``config.json``.

    Raises:
        CheckpointError: when the folder holds no Med-2E3 model.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config["model_type"] != "med2e3":
            raise CheckpointError(f"This folder holds a {config['model_type']} model, not Med-2E3.")
        slices, rows, columns = config["vision_3d_config"]["image_size"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            "This folder holds no Med-2E3 model.",
            hint="Give a folder that 'med2e3 models convert' or 'med2e3 models download' wrote.",
            detail=repr(error),
        ) from error
    return ModelInfo(
        input_size=(slices, rows, columns),
        untrained=bool(config.get("untrained", False)),
        title=str(config.get("title", "Med-2E3")),
        remark=str(config.get("remark", "")),
        num_bytes=sum(path.stat().st_size for path in folder.glob("*.safetensors")),
        dtype=str(config.get("dtype", "float32")),
    )
