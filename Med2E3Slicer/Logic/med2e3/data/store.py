"""Volumes made ready for the model, in one folder, opened without reading them.

Knows the folder's layout::

    dataset.json          size, number format, label names
    index.jsonl           one line for each volume: its key, split, content hash, attributes
    volumes/<key>.npy     (slices, rows, columns), what `med2e3.volume.prepare` gave
    labels/<key>.npy      (slices, rows, columns), uint8 label of each voxel; only where known
    samples.jsonl         the questions (`med2e3.data.sample`)

Each array is a file of its own that numpy maps into memory, so that a data set of any size needs
no memory.  Knows nothing of where volumes come from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from med2e3.atomic import write_lines, write_text
from med2e3.data.sample import Sample, read_samples
from med2e3.errors import InputError

#: how voxels in 0..1 may be stored
DTYPES = ("uint8", "float16", "float32")
FORMAT_VERSION = 1


@dataclass(frozen=True)
class VolumeEntry:
    """One volume of a store.

    Args:
        key: relative path without a suffix, with forward slashes.
        split: ``train``, ``validation``, ``test`` or a data set's own name.
        sha256: of the stored voxels, to find the same volume twice.
        attributes: what is known of the whole volume (``plane``, ``phase``, ...).
    """

    key: str
    split: str
    sha256: str
    attributes: dict[str, Any] = field(default_factory=dict)


class VolumeStore:
    """A folder of prepared volumes.

    Args:
        root: the folder.

    Raises:
        InputError: when the folder is none of this kind.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            self.description: dict[str, Any] = json.loads(
                (root / "dataset.json").read_text(encoding="utf-8")
            )
            self.size: tuple[int, ...] = tuple(self.description["size"])
            if self.description["format"] != FORMAT_VERSION:
                raise ValueError("another version")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"The folder {root.name!r} holds no prepared training data.",
                hint="Make it with 'med2e3 data prepare'.",
                detail=repr(error),
            ) from error

    @classmethod
    def create(
        cls,
        root: Path,
        size: Sequence[int],
        *,
        dtype: str = "uint8",
        labels: Sequence[str] = (),
        **description: Any,
    ) -> VolumeStore:
        """Make or open a folder for volumes of one size.

        Args:
            root: is created; opened as it is when it holds the same kind of volumes already.
            size: (slices, rows, columns).
            dtype: one of :data:`DTYPES`; ``uint8`` keeps 256 grey values.
            labels: name of each label value of the label arrays, value 0 first.
            **description: anything else that is JSON-able and worth keeping.

        Raises:
            InputError: when the folder holds volumes of another kind.
        """
        if dtype not in DTYPES:
            raise InputError(f"Voxels cannot be stored as {dtype!r}.", hint=", ".join(DTYPES))
        wanted = {
            "format": FORMAT_VERSION,
            "size": list(size),
            "dtype": dtype,
            "labels": list(labels),
            **description,
        }
        file = root / "dataset.json"
        if file.exists():
            store = cls(root)
            if store.description != wanted:
                raise InputError(
                    f"The folder {root.name!r} holds training data that was made otherwise.",
                    hint="Give another folder, or delete this one.",
                )
            return store
        for folder in ("volumes", "labels"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(wanted, indent=1) + "\n")
        return cls(root)

    # ---- writing -------------------------------------------------------------------------

    def put(
        self,
        key: str,
        voxels: npt.NDArray[np.float32],
        labels: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        """Store a volume, each file whole or not at all.

        Args:
            key: see :class:`VolumeEntry`.
            voxels: (slices, rows, columns) of the store's size, in 0..1.
            labels: label of each voxel, same shape.

        Raises:
            ValueError: for another shape.
        """
        if voxels.shape != self.size or (labels is not None and labels.shape != self.size):
            raise ValueError(f"expected arrays of shape {self.size}")
        dtype = self.description["dtype"]
        stored = (
            np.rint(voxels.clip(0, 1) * 255).astype(np.uint8)
            if dtype == "uint8"
            else voxels.astype(dtype)
        )
        if labels is not None:
            _save(self._file("labels", key), labels.astype(np.uint8, copy=False))
        _save(self._file("volumes", key), stored)

    def write_index(self, entries: Iterable[VolumeEntry]) -> None:
        """Write the index anew."""
        lines = (json.dumps(asdict(entry), ensure_ascii=False) for entry in entries)
        write_lines(self.root / "index.jsonl", lines)
        self.__dict__.pop("entries", None)

    # ---- reading -------------------------------------------------------------------------

    @cached_property
    def entries(self) -> dict[str, VolumeEntry]:
        """Every volume of the index, by key.

        Raises:
            InputError: when there is no index, or it is damaged.
        """
        try:
            text = (self.root / "index.jsonl").read_text(encoding="utf-8")
            rows = [VolumeEntry(**json.loads(line)) for line in text.splitlines() if line.strip()]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"The training data in {self.root.name!r} has no index that can be read.",
                hint="Run the same 'med2e3 data' command again; it goes on where it stopped.",
                detail=repr(error),
            ) from error
        return {row.key: row for row in rows}

    def samples(self, split: str | None = None) -> list[Sample]:
        """The questions about this folder's volumes, of one split or of all."""
        found = read_samples(self.root / "samples.jsonl")
        return [sample for sample in found if split in (None, sample.split)]

    def has(self, key: str) -> bool:
        """Whether a volume was stored."""
        return self._file("volumes", key).is_file()

    def is_whole(self, key: str) -> bool:
        """Whether a volume is there in full, and its labels are if it has any; reads no voxels."""
        try:
            self._open("volumes", key)
            self.labels(key)
        except InputError:
            return False
        return True

    def content_sha256(self, key: str) -> str:
        """Checksum of a volume's stored voxels: SHA-256 of their bytes, slice after slice.

        Raises:
            InputError: when the volume is missing or damaged.
        """
        return hashlib.sha256(np.ascontiguousarray(self._open("volumes", key)).data).hexdigest()

    def voxels(self, key: str) -> npt.NDArray[np.float32]:
        """A volume in 0..1 as float32, (slices, rows, columns).

        Raises:
            InputError: when it is missing or damaged.
        """
        stored = self._open("volumes", key)
        if stored.dtype == np.uint8:
            return stored.astype(np.float32) * np.float32(1 / 255)
        return stored.astype(np.float32)

    def labels(self, key: str) -> npt.NDArray[np.uint8] | None:
        """The label of each voxel, or None where it is not known."""
        if not self._file("labels", key).is_file():
            return None
        return np.asarray(self._open("labels", key), dtype=np.uint8)

    def _open(self, folder: str, key: str) -> npt.NDArray[Any]:
        try:
            array: npt.NDArray[Any] = np.load(
                self._file(folder, key), mmap_mode="r", allow_pickle=False
            )
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"The volume {key!r} of the training data is missing or damaged.",
                hint="Run the same 'med2e3 data' command again; it makes what is missing.",
                detail=repr(error),
            ) from error
        if array.shape != self.size:
            raise InputError(f"The volume {key!r} of the training data has another size.")
        return array

    def _file(self, folder: str, key: str) -> Path:
        return self.root / folder / f"{key}.npy"


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    part.replace(path)
