"""A whole synthetic data set, deterministic from its seed: volumes, labels, questions.

Knows which volumes there are, in which split, and how they are made in parallel and gone on with
after a stop.  Knows nothing of shapes or wording.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from med2e3.atomic import write_text
from med2e3.data.sample import Sample, write_samples
from med2e3.data.store import VolumeEntry, VolumeStore
from med2e3.errors import InputError, Med2E3Error
from med2e3.synthetic.anatomy import LABELS, REGIONS
from med2e3.synthetic.composites import make_composite, read_slices, slices_of_split
from med2e3.synthetic.lesions import insert_lesion
from med2e3.synthetic.phantom import make_phantom
from med2e3.synthetic.questions import ask_about
from med2e3.synthetic.real import (
    WITHHELD,
    is_there,
    make_training_scene,
    make_withheld_scene,
    room_for_lesions,
)
from med2e3.synthetic.scene import Scene
from med2e3.synthetic.variation import vary
from med2e3.synthetic.view import Seen, raster_of, see

PLANES = ("axial", "coronal", "sagittal")
#: centre and width of the soft-tissue window, and how far each is moved (HU)
_WINDOW, _MOVED = (40.0, 400.0), (20.0, 80.0)
#: scenes that are tried until a lesion finds room
_TRIES = 200
#: of volumes, as their counts are called
KINDS = ("phantoms", "composites", "real")
_PARTS = "parts"
#: names the folder with real CT volumes
SHARED_VARIABLE = "MED2E3_SHARED"


@dataclass(frozen=True)
class _Job:
    """One volume to be made."""

    key: str
    split: str
    kind: str
    scan: str
    seed: tuple[int, ...]
    plane: str
    region: str
    lesion: bool
    varied: bool


def synthesize(
    folder: Path,
    *,
    phantoms: int,
    composites: int = 0,
    real: int = 0,
    test_phantoms: int = 0,
    test_composites: int = 0,
    test_real: int = 0,
    size: Sequence[int] = (32, 64, 64),
    seed: int = 0,
    varied: Sequence[str] = (),
    processes: int = 1,
    shared: Path | None = None,
) -> VolumeStore:
    """Make a data set; volumes that are there already are kept.

    Args:
        folder: of the store.
        phantoms, composites, real: volumes of the ``train`` split.
        test_phantoms, test_composites, test_real: volumes of the splits ``test``,
            ``test-composite`` and ``test-real``.
        size: (slices, rows, columns) of the model.
        seed: of everything.
        varied: of :data:`KINDS`, what differs as scans do (:mod:`med2e3.synthetic.variation`); the
            withheld scans (``test_real``) never do.
        processes: made at the same time.
        shared: folder with ``labels`` and ``volumes``; by default the variable MED2E3_SHARED or
            ``../shared`` beside the checkout.  Without it there are phantoms only.

    Raises:
        InputError: when the folder holds other data, or cannot be written, and for a kind that
            there is not.
    """
    listed = isinstance(varied, Sequence) and not isinstance(varied, str)
    unknown = [name for name in varied if name not in KINDS] if listed else [varied]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} does not list kinds of volumes that could be varied.",
            hint="Give a list of some of these: " + ", ".join(KINDS) + ".",
        )
    shared = shared or _shared_folder()
    has_real = shared is not None and is_there(shared)
    has_slices = shared is not None and bool(read_slices(shared))
    counts = {
        "phantoms": phantoms,
        "composites": composites if has_slices else 0,
        "real": real if has_real else 0,
        "test_phantoms": test_phantoms,
        "test_composites": test_composites if has_slices else 0,
        "test_real": test_real if has_real else 0,
    }
    store = VolumeStore.create(
        folder,
        size,
        labels=LABELS,
        made_by="med2e3 data synthesize",
        seed=seed,
        volumes=counts,
        varied=sorted(varied),
    )
    (folder / _PARTS).mkdir(exist_ok=True)
    jobs = _jobs(counts, seed, varied)
    waiting = [job for job in jobs if not _part(folder, job).is_file()]
    make = partial(_make, folder=folder, shared=shared)
    if processes > 1 and len(waiting) > 1:
        with ProcessPoolExecutor(processes) as pool:
            for _ in pool.map(make, waiting, chunksize=8):
                pass
    else:
        for job in waiting:
            make(job)
    _gather(store, jobs)
    return store


def _shared_folder() -> Path | None:
    beside = Path(__file__).resolve().parents[4].parent / "shared"
    folder = Path(os.environ.get(SHARED_VARIABLE, beside))
    return folder if folder.is_dir() else None


def _jobs(counts: dict[str, int], seed: int, varied: Sequence[str]) -> list[_Job]:
    """Planes, scans, lesion or none, and regions take turns, so that all combinations are there."""
    jobs = []
    for name, count in counts.items():
        test, kind = name.startswith("test_"), name.removeprefix("test_").rstrip("s")
        split = "train" if not test else "test" if kind == "phantom" else f"test-{kind}"
        scans = list(WITHHELD) if name == "test_real" else [""]
        for i in range(count):
            jobs.append(
                _Job(
                    key=f"{split}/{kind}-{i:05d}",
                    split=split,
                    kind=kind,
                    scan=scans[i % len(scans)],
                    seed=(seed, zlib.crc32(name.encode()), i),
                    plane=PLANES[i // len(scans) % len(PLANES)],
                    lesion=i // (len(scans) * len(PLANES)) % 2 == 0,
                    region=REGIONS[i // (2 * len(PLANES)) % len(REGIONS)],
                    varied=name.removeprefix("test_") in varied and name != "test_real",
                )
            )
    return jobs


def _make(job: _Job, *, folder: Path, shared: Path | None) -> None:
    """One volume with its labels and questions, written last of all as its part of the index."""
    rng = np.random.default_rng(job.seed)
    store = VolumeStore(folder)
    slices, rows, columns = store.size
    center, width = (c + m * rng.uniform(-1, 1) for c, m in zip(_WINDOW, _MOVED, strict=True))
    for _ in range(_TRIES):
        scene = _scene(job, rng, shared)
        if job.varied:
            vary(scene, rng)
        model_view = (job.plane, (center, width), (slices, rows, columns))
        if job.lesion:
            room = None if job.kind == "phantom" else room_for_lesions(scene)
            if not insert_lesion(scene, rng, raster_of(scene, *model_view), room):
                continue
        seen = see(scene, *model_view)
        if seen.lesion_is_clear or not job.lesion:
            break
    else:
        raise Med2E3Error(f"No room for a lesion was found in {_TRIES} volumes like {job.key!r}.")
    store.put(job.key, seen.voxels, seen.labels)
    entry = VolumeEntry(job.key, job.split, store.content_sha256(job.key), _attributes(scene, seen))
    samples = ask_about(scene, seen, job.key, job.split, rng)
    part = {"entry": asdict(entry), "samples": [sample.to_json() for sample in samples]}
    write_text(_part(folder, job), json.dumps(part))


def _scene(job: _Job, rng: np.random.Generator, shared: Path | None) -> Scene:
    """What a lesion may be put into."""
    if job.kind == "phantom":
        return make_phantom(rng, job.region)
    assert shared is not None
    if job.kind == "composite":
        return make_composite(rng, slices_of_split(shared, job.split != "train"), job.region)
    if job.scan:
        return make_withheld_scene(job.scan, rng, shared)
    return make_training_scene(rng, shared)


def _attributes(scene: Scene, seen: Seen) -> dict[str, Any]:
    lesion = scene.lesion
    return {
        "source": scene.source,
        "plane": seen.plane,
        "region": scene.region,
        "phase": scene.phase,
        "organs": list(seen.organ_slices),
        "lesion": lesion and {
            "kind": lesion.kind, "organ": lesion.organ, "side": seen.side, "level": seen.level,
            "diameter_mm": round(lesion.diameter_mm, 1),
        },
    }  # fmt: skip


def _part(folder: Path, job: _Job) -> Path:
    return folder / _PARTS / f"{job.key.replace('/', '-')}.json"


def _gather(store: VolumeStore, jobs: Sequence[_Job]) -> None:
    entries: list[VolumeEntry] = []
    samples: list[Sample] = []
    for job in jobs:
        part = json.loads(_part(store.root, job).read_text(encoding="utf-8"))
        entries.append(VolumeEntry(**part["entry"]))
        samples += map(Sample.from_json, part["samples"])
    write_samples(store.root / "samples.jsonl", samples)
    store.write_index(entries)
