"""transformers' ``Trainer`` for Med-2E3: losses, order of examples, learning rates of parts.

Knows nothing of recipes or folders.  Resuming, checkpoints, gradient accumulation, several
processes and TensorBoard are the library's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer

from med2e3.errors import InputError
from med2e3.training.collate import IGNORED
from med2e3.training.losses import grounding_loss, weighted_answer_loss
from med2e3.training.muon import MuonAdamW, hidden_matrices

_BESIDE = "beside_adapters.safetensors"


class OrderedTrainer(Trainer):
    """A trainer that takes examples in the order of the data set, which knows its epochs itself.

    Args:
        layer_wise: learning rates of parts (first name of a parameter), relative to the
            recipe's.
        muon: learning rate of hidden matrices with :class:`~med2e3.training.muon.MuonAdamW`,
            relative to the recipe's; None leaves them to the library's optimizer.
        **kwargs: of ``Trainer``.
    """

    optimizer: torch.optim.Optimizer | None

    def __init__(
        self,
        *,
        layer_wise: Mapping[str, float] | None = None,
        muon: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._layer_wise = dict(layer_wise or {})
        self._muon = muon
        self._parts: dict[str, list[Tensor]] = defaultdict(list)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return SequentialSampler(train_dataset or self.train_dataset)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """As the library's, with Muon where it is asked for, and a learning rate for each part.

        Raises:
            InputError: for Muon where weights are sharded.
        """
        if self.optimizer is not None or (self._muon is None and not self._layer_wise):
            made: torch.optim.Optimizer = super().create_optimizer(model)
            return made
        if self._muon is not None and (self.is_deepspeed_enabled or self.is_fsdp_enabled):
            raise InputError(
                "Muon needs whole matrices, and this run shards them over processes.",
                hint="Leave 'muon' out of the recipe's stage, or train without DeepSpeed and FSDP.",
            )
        module = model or self.model
        made = super().create_optimizer(model)
        groups = self._groups(made, module)
        if self._muon is not None:
            made = self.optimizer = MuonAdamW(groups)
        else:
            made.param_groups[:] = groups
        return made

    def _groups(self, made: torch.optim.Optimizer, module: nn.Module) -> list[dict[str, Any]]:
        """The optimizer's groups of parameters, split where learning rates or methods differ."""
        names = {id(p): _part(n) for n, p in module.named_parameters()}
        matrices = set() if self._muon is None else set(map(id, hidden_matrices(module)))
        groups = []
        for group in made.param_groups:
            split: dict[tuple[float, bool], list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                factor = self._layer_wise.get(names.get(id(parameter), ""), 1.0)
                split[factor, id(parameter) in matrices].append(parameter)
            for (factor, orthogonal), params in split.items():
                rate = group["lr"] * factor * ((self._muon or 0.0) if orthogonal else 1.0)
                groups.append({**group, "params": params, "lr": rate, "orthogonal": orthogonal})
        return groups

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """As the library's, which keeps adapters only: also the parts that learn beside them."""
        super()._save(output_dir, state_dict)
        beside = {n: p.detach().cpu().contiguous() for n, p in self._beside_adapters().items()}
        if beside and self.args.should_save:
            save_file(beside, Path(output_dir or self.args.output_dir) / _BESIDE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        beside = self._beside_adapters()
        if beside:
            stored = load_file(Path(resume_from_checkpoint) / _BESIDE)
            with torch.no_grad():
                for name, parameter in beside.items():
                    parameter.copy_(stored[name])

    def _beside_adapters(self) -> dict[str, nn.Parameter]:
        """What learns in a model with adapters and is none; nothing where weights are sharded."""
        sharded = self.is_deepspeed_enabled or self.is_fsdp_enabled  # saved whole by the library
        if sharded or not hasattr(self.model, "peft_config"):
            return {}
        named: Iterable[tuple[str, nn.Parameter]] = self.model.named_parameters()
        return {n: p for n, p in named if p.requires_grad and ".lora_" not in n}

    def note(self, name: str, value: Tensor) -> None:
        """Keep a part of the loss, to be logged as its mean since the last log."""
        self._parts[name].append(value.detach().float())

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As the library's, with the parts of the loss."""
        means = {name: torch.stack(values).mean().item() for name, values in self._parts.items()}
        if "loss" in logs:
            logs = logs | means
            self._parts.clear()
        super().log(logs, start_time)


class DenseTrainer(OrderedTrainer):
    """Learns from label maps, and logs each part of the loss (``DenseOutput``)."""

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """As the library's."""
        loss, outputs = super().compute_loss(
            model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch
        )
        for name, value in outputs.items():
            if name.endswith("_loss"):
                self.note(name, value)
        return (loss, outputs) if return_outputs else loss


class Med2E3Trainer(OrderedTrainer):
    """Learns answers, and where the scores should lie.

    Args:
        grounding_weight: of :func:`~med2e3.training.losses.grounding_loss`.
        answer_weight: of the answers' loss.
        **kwargs: of :class:`OrderedTrainer`.
    """

    def __init__(
        self, *, grounding_weight: float = 0.0, answer_weight: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.grounding_weight = grounding_weight
        self.answer_weight = answer_weight

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The answers' loss, plus weighted score grounding.

        The answers' loss is per token of the whole batch; with ``label_weights`` it is the mean
        over the answers of their tokens' weighted losses.  It is not computed where it counts
        nothing.
        """
        targets = inputs.pop("slice_targets", None)
        weights = inputs.pop("label_weights", None)
        share = 1.0
        if model.training and num_items_in_batch is not None:
            # the library does not divide by the steps when the loss counts tokens itself
            share = 1.0 / self.current_gradient_accumulation_steps
        if not self.answer_weight:
            outputs = model(**inputs)
            answers = torch.zeros((), device=inputs["input_ids"].device)
        elif weights is None:
            answers, outputs = super().compute_loss(
                model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch
            )
        else:
            labels = inputs.pop("labels")
            # what stands before every answer, visual tokens above all, needs no prediction
            kept = labels.shape[1] - int((labels != IGNORED).any(dim=0).int().argmax()) + 1
            outputs = model(**inputs, logits_to_keep=kept)
            answers = share * weighted_answer_loss(
                outputs.logits, labels[:, -kept:], weights[:, -kept:]
            )
        loss = self.answer_weight * answers
        if self.answer_weight:
            self.note("answer_loss", answers)
        if targets is not None and outputs.slice_scores is not None:
            grounding = grounding_loss(outputs.slice_scores, targets)
            self.note("grounding_loss", grounding)
            if self.grounding_weight:
                loss = loss + self.grounding_weight * share * grounding
        return (loss, outputs) if return_outputs else loss


def _part(name: str) -> str:
    """First name of a parameter that names a part of the model, wrappers left out."""
    wrappers = ("module", "base_model", "model", "med2e3")
    return next((word for word in name.split(".") if word not in wrappers), "")
