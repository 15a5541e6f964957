"""A converted model folder, checked and put on a device.

Weights in the format of the file are mapped into memory on a CPU, not copied.  For int8 and int4
there, the language model's linear layers are left out at first, then read, rounded and put in
their places one after the other, so that no more than one of them is held as it is in the file.
On CUDA bitsandbytes does the same.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import BitsAndBytesConfig
from transformers.utils import logging as transformers_logging

from med2e3.devices import QUANTIZED_NAMES
from med2e3.errors import CheckpointError, ResourceError
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.model_info import read_model_info
from med2e3.session.devices import choose_device, memory_shortage_said
from med2e3.session.precision import Precision, choose_precision, needs_of
from med2e3.session.quantization import Int4Linear, Int8Linear, quantized
from med2e3.session.single_rows import multiply_single_rows_as_vectors

#: for bitsandbytes: parts that keep their format
_NOT_QUANTIZED = [
    "vision_3d",
    "connector_3d",
    "vision_2d",
    "connector_2d",
    "tgis",
    "question_encoder",
    "lm_head",
]


class _WithoutLinears(Med2E3ForConditionalGeneration):
    """The model with holes where its language model's linear layers belong."""

    def __init__(self, config: Med2E3Config) -> None:
        super().__init__(config)
        self.holes = linear_names(self)
        for name in self.holes:
            self.set_submodule(name, nn.Identity())


def load_model(
    folder: Path, device: str, precision: str
) -> tuple[Med2E3ForConditionalGeneration, Med2E3Processor]:
    """Load a converted model and its processor.

    Args:
        folder: what ``med2e3 models convert`` wrote.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        precision: ``auto``, ``float32``, ``bfloat16``, ``float16``, ``int8`` or ``int4``; ``auto``
            takes the most exact that fits into the free memory.

    Raises:
        InputError: for another device or precision.
        CheckpointError: when the folder holds no complete model.
        ResourceError: when there is no such device or not enough memory, or bitsandbytes is
            missing.
    """
    read_model_info(folder)
    device = choose_device(device)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        config = Med2E3Config.from_pretrained(folder, local_files_only=True)
        choice = choose_precision(precision, device, needs_of(folder, config))
        with memory_shortage_said():
            if choice.name in QUANTIZED_NAMES and device == "cpu":
                model, gaps = _load_quantized(folder, choice)
            elif choice.name in QUANTIZED_NAMES:
                model, gaps = _load(folder, choice, **_bitsandbytes(choice, device))
            else:
                model, gaps = _load(folder, choice)
                model = model.to(device)
            if device == "cpu":
                multiply_single_rows_as_vectors(model.language_model)
        processor = Med2E3Processor.from_pretrained(folder, local_files_only=True)
        if config.question_config is not None:  # never more than its encoder has places for
            places = config.question_config.max_position_embeddings
            processor.max_question_length = min(processor.max_question_length, places)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            "The model's files cannot be loaded.",
            hint="Run 'med2e3 models verify', then download or convert the model again.",
            detail=repr(error),
        ) from error
    if gaps:
        raise CheckpointError(
            f"The model's files do not fit its configuration ({gaps[0]}).",
            hint="Download or convert the model again.",
            detail=", ".join(gaps),
        )
    return model, processor


def precision_of(model: Med2E3ForConditionalGeneration) -> str:
    """The precision that a model is held in, one of ``PRECISION_NAMES``."""
    kinds = {type(module) for module in model.language_model.modules()}
    if Int4Linear in kinds or getattr(model, "is_loaded_in_4bit", False):
        return "int4"
    if Int8Linear in kinds or getattr(model, "is_loaded_in_8bit", False):
        return "int8"
    return str(model.dtype).removeprefix("torch.")


def linear_names(model: Med2E3ForConditionalGeneration) -> list[str]:
    """Names of the modules that int8 and int4 replace: the language model's linear layers.

    A head that shares its weight with the token embeddings is none of them.
    """
    head = model.get_output_embeddings()
    return [
        f"language_model.{name}"
        for name, module in model.language_model.named_modules()
        if isinstance(module, nn.Linear)
        and not (module is head and model.config.tie_word_embeddings)
    ]


def quantize_linears(model: Med2E3ForConditionalGeneration, precision: str) -> None:
    """Quantize the linear layers of a model's language model in place, one after the other.

    Args:
        model: on the CPU.
        precision: ``int8`` or ``int4``.
    """
    for name in linear_names(model):
        linear = model.get_submodule(name)
        bias = None if linear.bias is None else linear.bias.detach()
        _fill(model, name, linear.weight.detach(), bias, precision)


def _fill(
    model: Med2E3ForConditionalGeneration,
    name: str,
    weight: Tensor,
    bias: Tensor | None,
    precision: str,
) -> None:
    """Put one quantized layer in its place.

    The head is never held in fewer than 8 bits: what changes there changes words directly.
    """
    is_head = model.get_submodule(name) is model.get_output_embeddings()
    model.set_submodule(name, quantized(weight, bias, "int8" if is_head else precision))


def _load(
    folder: Path,
    choice: Precision,
    kind: type[Med2E3ForConditionalGeneration] = Med2E3ForConditionalGeneration,
    **options: Any,
) -> tuple[Any, list[str]]:
    """The model, and the names that it or its files lack."""
    model, report = kind.from_pretrained(
        folder,
        dtype=choice.torch_dtype,
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
        **options,
    )
    return model, sorted({*report["missing_keys"], *report["unexpected_keys"]})


def _load_quantized(folder: Path, choice: Precision) -> tuple[Any, list[str]]:
    model, gaps = _load(folder, choice, _WithoutLinears)
    left = set(gaps)
    files = _files_of(folder, left)
    for name in model.holes:
        if f"{name}.weight" not in files:
            left.add(f"{name}.weight")
            continue
        weight, bias = (_tensor(files, f"{name}.{part}") for part in ("weight", "bias"))
        assert weight is not None
        _fill(model, name, weight, bias, choice.name)
        left -= {f"{name}.weight", f"{name}.bias"}
    model.__class__ = Med2E3ForConditionalGeneration
    return model, sorted(left)


def _files_of(folder: Path, names: Collection[str]) -> dict[str, Path]:
    """In which file each tensor is."""
    places: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            places |= {name: path for name in file.keys() if name in names}  # noqa: SIM118
    return places


def _tensor(files: dict[str, Path], name: str) -> Tensor | None:
    """One tensor; its file is mapped for it alone, so that its memory is free after it."""
    if name not in files:
        return None
    with safe_open(files[name], framework="pt") as file:
        tensor: Tensor = file.get_tensor(name)
    return tensor


def _bitsandbytes(choice: Precision, device: str) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` with which bitsandbytes quantizes the language model.

    Raises:
        ResourceError: when bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ResourceError(
            f"{choice.name} on a {device} device needs the package bitsandbytes.",
            hint="Install it with 'pip install bitsandbytes', or use --device cpu.",
        )
    four = choice.name == "int4"
    config = BitsAndBytesConfig(
        load_in_4bit=four,
        load_in_8bit=not four,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=choice.torch_dtype,
        llm_int8_skip_modules=_NOT_QUANTIZED,
    )
    return {"quantization_config": config, "device_map": {"": device}}
