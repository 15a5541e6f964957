"""Volumes put together from single real CT slices of many patients, ordered along the body.

The slices are those of the NIH's body part regressor (CADLab, 100 PNG pictures, MIT licence with an
addendum); their file names hold how high in the body each lies.  Knows that folder and how a
coherent volume is made of it; organs other than the lungs, and the contrast phase, are not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK
from PIL import Image

from med2e3.synthetic.anatomy import REGIONS, UNKNOWN
from med2e3.synthetic.fields import Rng
from med2e3.synthetic.lungs import label_lungs
from med2e3.synthetic.scene import Float32, Scene

FOLDER = Path("labels", "nih_body_slices")
#: 055_score_0.55636_001008_05_2_57.png: the score, then the patient
_NAME = re.compile(r"_score_(-?\d+\.\d+)_(\d+)_")
#: HU of grey value 0 and of 255
_LOW, _HIGH = -175.0, 275.0
#: rows and columns that every body is brought to, and their spacing with that of slices (mm)
_SHAPE = (60, 88)
_SPACING = (4.0, 4.0, 5.0)
#: body length of one unit of the score (mm), so that a volume has about natural proportions
_MM_PER_SCORE = 50.0
#: where the middle of a region's volume may lie, as score, and half of its length
_MIDDLES = {"chest": (-7.4, -5.4), "abdomen": (-2.2, 1.2), "pelvis": (4.6, 7.2)}
_HALF = (1.8, 3.0)
#: how far a slice fades into its neighbours, in distances between slices
_FADES = (0.3, 0.65)
#: a slice one of whose borders is body for a larger part than this was cut or zoomed
_LARGEST_CUT = 0.25
#: below the hips there are two thighs, and no torso
_LOWEST = 10.5
#: pixels are averaged in blocks of this side to find the body, whose mean grey is above
_BLOCK, _BODY_GREY = 4, 30
#: what is thinner than twice this (blocks) is a table or a blanket
_THIN = 3


@dataclass(frozen=True)
class BodySlice:
    """One real slice, its body brought to the common size.

    Args:
        score: how low in the body it lies.
        patient: number of the patient.
        hu: (rows, columns), patient's right on the left.
    """

    score: float
    patient: str
    hu: Float32


@lru_cache(maxsize=2)
def read_slices(shared: Path) -> tuple[BodySlice, ...]:
    """All slices that are whole, from head to feet; empty where the folder is not there."""
    found = []
    for path in sorted((shared / FOLDER).glob("*.png")):
        match = _NAME.search(path.name)
        grey = np.asarray(Image.open(path).convert("L"))
        borders = (grey[0], grey[-1], grey[:, 0], grey[:, -1])
        cut = max(float((border > 60).mean()) for border in borders) >= _LARGEST_CUT
        if match and not cut and float(match[1]) < _LOWEST:
            found.append(BodySlice(float(match[1]), match[2], _body_of(grey)))
    return tuple(sorted(found, key=lambda s: s.score))


def slices_of_split(shared: Path, test: bool) -> tuple[BodySlice, ...]:
    """Every third slice is for the test; no patient has slices in both."""
    slices = read_slices(shared)
    patients = {s.patient for s in slices[1::3]}
    return tuple(s for s in slices if (s.patient in patients) == test)


def make_composite(rng: Rng, slices: tuple[BodySlice, ...], region: str | None = None) -> Scene:
    """A volume of one region from neighbouring slices of different patients, cross-faded.

    Args:
        rng: source of chance.
        slices: from head to feet.
        region: by chance when None.
    """
    region = region or str(rng.choice(REGIONS))
    middle, half = rng.uniform(*_MIDDLES[region]), rng.uniform(*_HALF)
    places = np.arange(middle + half, middle - half, -_SPACING[2] / _MM_PER_SCORE)  # upwards
    near = [s for s in slices if middle - half - 1 <= s.score <= middle + half + 1]
    count = min(len(near), int(rng.integers(12, 22)))
    chosen = [near[i] for i in sorted(rng.choice(len(near), count, replace=False))]
    scores = np.array([s.score for s in chosen]) + rng.normal(0, 0.1, count)
    order = np.argsort(scores)
    stack = np.stack([chosen[i].hu for i in order])
    place = np.interp(places, scores[order], np.arange(count))
    distance = (place[:, None] - np.arange(count)[None, :]) / rng.uniform(*_FADES)
    weights = np.exp(-(distance**2) / 2).astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True)
    hu = np.tensordot(weights, stack, axes=1)
    hu = _framed(hu, rng)
    affine = np.diag([*_SPACING, 1.0])
    affine[:2, 3] = -hu.shape[2] * _SPACING[0] / 2, -hu.shape[1] * _SPACING[1] / 2
    affine[2, 3] = -middle * _MM_PER_SCORE
    labels = np.full(hu.shape, UNKNOWN, np.uint8)
    scene = Scene(hu, labels, affine, region, None, "composite", labelled=frozenset({"lungs"}))
    label_lungs(scene)
    return scene


def _framed(hu: Float32, rng: Rng) -> Float32:
    """Air around the body, a shift of brightness and noise."""
    pads = [(0, 0), *(tuple(int(n) for n in rng.integers(1, 5, 2)) for _ in range(2))]
    framed: Float32 = np.pad(hu, pads, constant_values=-1000).astype(np.float32)
    body = framed > -500
    framed[body] += np.float32(rng.normal(0, 8))
    framed[body] += np.float32(rng.uniform(0, 10)) * rng.standard_normal(
        int(body.sum()), dtype=np.float32
    )
    return framed


def _body_of(grey: npt.NDArray[np.uint8]) -> Float32:
    """The body alone, without the table, resized to the common size."""
    rows, columns = (n // _BLOCK for n in grey.shape)
    blocks = grey.reshape(rows, _BLOCK, columns, _BLOCK).mean(axis=(1, 3))
    found = SimpleITK.GetImageFromArray((blocks > _BODY_GREY).astype(np.uint8))
    found = SimpleITK.BinaryFillhole(found)
    found = SimpleITK.BinaryMorphologicalOpening(found, [_THIN, _THIN])
    parts = SimpleITK.RelabelComponent(SimpleITK.ConnectedComponent(found))
    body = SimpleITK.GetArrayFromImage(SimpleITK.BinaryDilate(parts == 1, [1, 1])) > 0
    tall, wide = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    alone = np.where(np.kron(body, np.ones((_BLOCK, _BLOCK), bool)), grey, 0).astype(np.uint8)
    left, top, right, bottom = (
        int(edge) * _BLOCK for edge in (wide[0], tall[0], wide[-1] + 1, tall[-1] + 1)
    )
    picture = Image.fromarray(alone).crop((left, top, right, bottom))
    small = np.asarray(picture.resize(_SHAPE[::-1], Image.Resampling.BOX), np.float32)
    hu: Float32 = (small / 255 * (_HIGH - _LOW) + _LOW).astype(np.float32)
    hu[small < 4] = -900.0
    return hu
