"""A converted model folder, checked and put on a device."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from med2e3.errors import CheckpointError
from med2e3.model import Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.model_info import read_model_info
from med2e3.session.devices import DTYPES, choose_device, choose_dtype, memory_shortage_said


def load_model(
    folder: Path, device: str, dtype: str
) -> tuple[Med2E3ForConditionalGeneration, Med2E3Processor]:
    """Load a converted model and its processor.

    Args:
        folder: what ``med2e3 models convert`` wrote.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``.

    Raises:
        InputError: for another device or dtype.
        CheckpointError: when the folder holds no complete model.
        ResourceError: when there is no such device or not enough memory.
    """
    info = read_model_info(folder)
    device = choose_device(device)
    dtype = choose_dtype(dtype, device, info.parameters)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with memory_shortage_said():
            model, report = Med2E3ForConditionalGeneration.from_pretrained(
                folder,
                dtype=DTYPES[dtype],
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
            model = model.to(device)
        processor = Med2E3Processor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            "The model's files cannot be loaded.",
            hint="Run 'med2e3 models verify', then download or convert the model again.",
            detail=repr(error),
        ) from error
    gaps = sorted({*report["missing_keys"], *report["unexpected_keys"]})
    if gaps:
        raise CheckpointError(
            f"The model's files do not fit its configuration ({gaps[0]}).",
            hint="Download or convert the model again.",
            detail=", ".join(gaps),
        )
    return model, processor
