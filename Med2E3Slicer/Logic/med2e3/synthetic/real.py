"""Real CT volumes of free licence: which are trained on, and which never are.

Knows the files, and what of each is used.  Those in :data:`WITHHELD` appear in no training split;
the model is measured on them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import SimpleITK

from med2e3.synthetic.anatomy import ID, UNKNOWN
from med2e3.synthetic.fields import Rng, blur
from med2e3.synthetic.lungs import label_lungs
from med2e3.synthetic.scene import Affine, Float32, Labels, Mask, Scene

_FOLDER = Path("volumes")
#: the only real volume that is trained on
TRAINED = "chest_ct_cip64.nrrd"
#: name for people → file; parts of one scan are named apart
WITHHELD = {
    "chest_ct_slicerio": "chest_ct_slicerio.nrrd",
    "chest_ct_wrong_spacing": "chest_ct_wrong_spacing.nii.gz",
    "abdomen_pelvis_ct_3mm, abdomen": "abdomen_pelvis_ct_3mm.nii.gz",
    "abdomen_pelvis_ct_3mm, pelvis": "abdomen_pelvis_ct_3mm.nii.gz",
}
#: its header says 1 x 1 x 3 mm, and the body is 152 pixels wide
_TRUE_SPACING = (3.0, 3.0, 9.0)
_SMALL, _SMALL_LABELS = "abdomen_ct_small.nii.gz", "abdomen_ct_small_totalseg_labels.nii.gz"
#: TotalSegmentator's label → ours
_TOTALSEGMENTATOR = {
    1: "spleen", 2: "right kidney", 3: "left kidney", 5: "liver", 10: "left lung", 11: "left lung",
    12: "right lung", 13: "right lung", 14: "right lung",
}  # fmt: skip
_AIR = -1000.0


def is_there(shared: Path) -> bool:
    """Whether the folder of shared data has all volumes."""
    return all((shared / _FOLDER / name).is_file() for name in (TRAINED, *WITHHELD.values()))


def make_training_scene(rng: Rng, shared: Path) -> Scene:
    """A random stretch of the one chest that is trained on."""
    hu, affine = _read(shared / _FOLDER / TRAINED)
    scene = _scene(hu, affine, "chest", "real")
    return _varied(scene, rng, (0.75, 1.0))


def make_withheld_scene(name: str, rng: Rng, shared: Path) -> Scene:
    """A random stretch of a volume that is never trained on.

    Args:
        name: of :data:`WITHHELD`.
        rng: source of chance.
        shared: folder of shared data.
    """
    hu, affine = _read(shared / _FOLDER / WITHHELD[name])
    region, labels = "chest", None
    if name == "chest_ct_wrong_spacing":
        directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
        affine = affine.copy()
        affine[:3, :3] = directions * _TRUE_SPACING
    elif "abdomen_pelvis" in name:
        region = name.rpartition(" ")[2]
        labels = _organs_of_abdomen(shared)
        # RAS: slices run upwards; 56 x 3 mm is a little below the middle of the lumbar spine
        part = slice(52, None) if region == "abdomen" else slice(0, 62)
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 2] * (part.start or 0)
        hu, labels = hu[part], labels[part]
    scene = _scene(hu, affine, region, name)
    if labels is not None:
        known = labels > 0
        scene.labels[known] = labels[known]
        if region == "abdomen":
            scene.labelled = frozenset({"lungs", "liver", "spleen", "kidneys"})
    return _varied(scene, rng, (0.85, 1.0))


def room_for_lesions(scene: Scene) -> dict[str | None, Mask]:
    """Where a lesion may lie in a real volume: lungs, labelled organs, even soft tissue."""
    room: dict[str | None, Mask] = {}
    lungs = (scene.labels == ID["right lung"]) | (scene.labels == ID["left lung"])
    if lungs.mean() > 0.02:
        room["lung"] = lungs
    for organ, names in (
        ("liver", ("liver",)), ("spleen", ("spleen",)), ("kidney", ("right kidney", "left kidney")),
    ):  # fmt: skip
        mask = np.isin(scene.labels, [ID[name] for name in names])
        if mask.any():
            room[organ] = mask
    even = _even_tissue(scene)
    if even.mean() > 0.003:
        room[None] = even
    return room


def _even_tissue(scene: Scene) -> Mask:
    """Soft tissue of one density, deep enough for a lesion; which organ it is, is not known."""
    hu = np.clip(scene.hu, -400, 400)
    mean, square = hu, hu**2
    for _ in range(2):
        mean, square = blur(mean, 0.6), blur(square, 0.6)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    even: Mask = (mean > -20) & (mean < 170) & (spread < 45) & (scene.labels == UNKNOWN)
    return even


def _scene(hu: Float32, affine: Affine, region: str, source: str) -> Scene:
    scene = Scene(
        hu=hu.copy(),
        labels=np.full(hu.shape, UNKNOWN, np.uint8),
        ijk_to_lps=affine,
        region=region,
        phase=None,
        source=source,
        labelled=frozenset({"lungs"}),
    )
    label_lungs(scene)
    return scene


def _varied(scene: Scene, rng: Rng, lengths: tuple[float, float]) -> Scene:
    """A stretch of the volume along the body, with a shift of brightness and some noise."""
    depth = scene.hu.shape[0]
    length = round(depth * rng.uniform(*lengths))
    start = int(rng.integers(0, depth - length + 1))
    part = slice(start, start + length)
    affine = scene.ijk_to_lps.copy()
    affine[:3, 3] += affine[:3, 2] * start
    hu = scene.hu[part].copy()
    body = hu > -950
    hu[body] += np.float32(rng.normal(0, 8))
    hu[body] += np.float32(rng.uniform(0, 8)) * rng.standard_normal(
        int(body.sum()), dtype=np.float32
    )
    scene.hu, scene.labels, scene.ijk_to_lps = hu, scene.labels[part].copy(), affine
    return scene


@lru_cache(maxsize=8)
def _read(path: Path) -> tuple[Float32, Affine]:
    image = SimpleITK.ReadImage(str(path))
    hu = SimpleITK.GetArrayFromImage(image).astype(np.float32)
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = direction * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return np.maximum(hu, _AIR), affine


@lru_cache(maxsize=2)
def _organs_of_abdomen(shared: Path) -> Labels:
    """Our labels in the grid of the whole abdomen, where the smaller part of it was labelled."""
    whole, _ = _read(shared / _FOLDER / WITHHELD["abdomen_pelvis_ct_3mm, abdomen"])
    small, _ = _read(shared / _FOLDER / _SMALL)
    given = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(shared / _FOLDER / _SMALL_LABELS)))
    differences = [
        float(np.abs(whole[k : k + len(small)] - small).mean())
        for k in range(len(whole) - len(small) + 1)
    ]
    start = int(np.argmin(differences))
    labels = np.zeros(whole.shape, np.uint8)
    for value, name in _TOTALSEGMENTATOR.items():
        labels[start : start + len(small)][given == value] = ID[name]
    return labels
