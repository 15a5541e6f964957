"""A procedural torso in Hounsfield units: every organ an ellipsoid or a tube of random size.

Knows shapes, places and densities of organs, contrast phases, and where a chest, an abdomen and a
pelvis begin and end.  Knows nothing of lesions, of questions or of the model.

Patient coordinates are LPS in mm: x grows to the patient's left, y to the back, z to the head;
z = 0 is about the dome of the diaphragm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from med2e3.synthetic.anatomy import ID, ORGANS, PHASES, REGIONS
from med2e3.synthetic.fields import Rng, blur, smooth_field
from med2e3.synthetic.scene import Float32, Labels, Mask, Scene

_AIR, _FAT, _MUSCLE, _LUNG, _BONE = -1000.0, -100.0, 50.0, -850.0, 320.0
#: voxel spacing along x, y and z (mm)
_SPACING = (4.0, 4.0, 5.0)
#: where the middle of a field of view of each region may lie, along z (mm)
_MIDDLES = {"chest": (90.0, 140.0), "abdomen": (-150.0, -70.0), "pelvis": (-370.0, -310.0)}
#: how long it may be (mm)
_LENGTHS = {"chest": (200.0, 300.0), "abdomen": (180.0, 280.0), "pelvis": (160.0, 240.0)}

#: HU of each organ in each phase, in the order of PHASES
_ENHANCEMENT = {
    "heart": (42.0, 260.0, 155.0, 95.0),
    "artery": (42.0, 330.0, 165.0, 100.0),
    "vein": (42.0, 80.0, 170.0, 100.0),
    "liver": (58.0, 75.0, 118.0, 92.0),
    "spleen": (50.0, 125.0, 125.0, 88.0),
    "cortex": (38.0, 210.0, 200.0, 135.0),
    "medulla": (36.0, 90.0, 190.0, 130.0),
    "renal pelvis": (15.0, 20.0, 40.0, 480.0),
    "bladder": (8.0, 8.0, 12.0, 330.0),
}


@dataclass
class _Canvas:
    """The grid while organs are put into it, later ones over earlier ones."""

    x: Float32
    y: Float32
    z: Float32
    hu: Float32
    labels: Labels

    def ellipsoid(
        self, center: tuple[float, float, float], half: tuple[float, float, float]
    ) -> tuple[tuple[slice, slice, slice], Float32]:
        """The box around an ellipsoid, and in it the squared radius (1 at the surface)."""
        box = []
        for axis, c, h in zip((self.z, self.y, self.x), center[::-1], half[::-1], strict=True):
            inside = np.flatnonzero(np.abs(axis - c) <= h)
            box.append(slice(inside[0], inside[-1] + 1) if inside.size else slice(0, 0))
        dz = ((self.z[box[0]] - center[2]) / half[2])[:, None, None]
        dy = ((self.y[box[1]] - center[1]) / half[1])[None, :, None]
        dx = ((self.x[box[2]] - center[0]) / half[0])[None, None, :]
        return (box[0], box[1], box[2]), dz * dz + dy * dy + dx * dx

    def fill(
        self,
        center: tuple[float, float, float],
        half: tuple[float, float, float],
        value: float,
        label: int,
        *,
        within: Mask | None = None,
        inner: float = 0.0,
    ) -> None:
        """Put an ellipsoid, or its shell from the squared radius ``inner`` on."""
        box, radius = self.ellipsoid(center, half)
        mask = (radius <= 1) & (radius >= inner)
        if within is not None:
            mask &= within[box]
        self.hu[box][mask] = value
        self.labels[box][mask] = label


def make_phantom(rng: Rng, region: str | None = None, phase: str | None = None) -> Scene:
    """A random torso, or the part of it that a scan of one region shows.

    Args:
        rng: source of chance.
        region: one of REGIONS; by chance when None.
        phase: one of PHASES; by chance when None.
    """
    region = region or str(rng.choice(REGIONS))
    phase = phase or str(rng.choice(PHASES))
    length = rng.uniform(*_LENGTHS[region])
    middle = rng.uniform(*_MIDDLES[region])
    width, depth = rng.uniform(150, 195), rng.uniform(100, 135)
    canvas = _empty(middle, length, width, depth)
    inside = _body(canvas, rng, width, depth)
    scale = (width / 170, depth / 115)
    hu = {name: values[PHASES.index(phase)] * rng.uniform(0.9, 1.1)
          for name, values in _ENHANCEMENT.items()}  # fmt: skip
    _bones(canvas, rng, inside, width, depth)
    _chest(canvas, rng, hu, scale, inside)
    _abdomen(canvas, rng, hu, scale, inside)
    _pelvis(canvas, rng, hu, scale, inside)
    _tubes(canvas, rng, hu, scale, inside)
    _finish(canvas, rng)
    return Scene(
        hu=canvas.hu,
        labels=canvas.labels,
        ijk_to_lps=_affine(canvas),
        region=region,
        phase=phase,
        source="phantom",
        labelled=frozenset(ORGANS),
    )


def _empty(middle: float, length: float, width: float, depth: float) -> _Canvas:
    x, y, z = (
        np.arange(-half, half + step, step).astype(np.float32)
        for half, step in zip((width + 25, depth + 35, length / 2), _SPACING, strict=True)
    )
    shape = (len(z), len(y), len(x))
    return _Canvas(
        x, y, z + np.float32(middle), np.full(shape, _AIR, np.float32), np.zeros(shape, np.uint8)
    )


def _affine(canvas: _Canvas) -> np.ndarray:
    affine = np.diag([*_SPACING, 1.0])
    affine[:3, 3] = canvas.x[0], canvas.y[0], canvas.z[0]
    return affine


def _radius(canvas: _Canvas, width: float, depth: float, power: float) -> Float32:
    """(K, J, I): 1 at the skin, smaller inside; the torso is wider at shoulders and hips."""
    z = canvas.z
    wider = 1 + 0.1 * np.clip((z - 170) / 60, 0, 1) - 0.06 * np.exp(-(((z + 150) / 90) ** 2))
    wider = (wider + 0.05 * np.exp(-(((z + 340) / 70) ** 2)))[:, None, None]
    x = np.abs(canvas.x[None, None, :] / (width * wider))
    y = np.abs(canvas.y[None, :, None] / (depth * np.sqrt(wider)))
    radius: Float32 = ((x**power + y**power) ** (1 / power)).astype(np.float32)
    return radius


def _body(canvas: _Canvas, rng: Rng, width: float, depth: float) -> Mask:
    """Skin, fat and muscle; returns what lies inside the muscles."""
    radius = _radius(canvas, width, depth, rng.uniform(2.1, 2.6))
    fat = rng.uniform(0.05, 0.18)
    muscle = rng.uniform(0.06, 0.1)
    body = radius <= 1
    canvas.hu[body] = _FAT
    canvas.labels[body] = ID["body"]
    canvas.hu[radius <= 1 - fat] = _MUSCLE
    inside: Mask = radius <= 1 - fat - muscle
    cavity = inside & (canvas.z < 10)[:, None, None]
    canvas.hu[cavity] = _FAT
    if rng.random() < 0.4:
        table = np.abs(canvas.y - canvas.y[-1] + 8) < 5
        canvas.hu[:, table, 12:-12] = rng.uniform(-200, 100)
    return inside


def _bones(canvas: _Canvas, rng: Rng, inside: Mask, width: float, depth: float) -> None:
    z = canvas.z
    back = 0.58 * depth
    pitch, start = rng.uniform(28, 36), rng.uniform(0, 30)
    disc = (((z + start) % pitch) < 7)[:, None, None]
    for radius, value in ((21, _BONE), (17, 190)):
        vertebra = _ellipse(canvas, back, radius, radius)
        canvas.hu[:, vertebra] = value
        canvas.labels[:, vertebra] = ID["spine"]
    canvas.hu[disc & _ellipse(canvas, back, 20, 20)] = 90
    arch = _ellipse(canvas, back + 32, 24, 14)
    canvas.hu[:, arch] = _BONE * 0.8
    canvas.labels[:, arch] = ID["spine"]
    skin = _radius(canvas, width, depth, 2.3)
    cage = (skin > 0.78) & (skin < 0.85) & (z > -90)[:, None, None]
    slant = z[:, None] + 0.35 * canvas.y[None, :]
    rib = (slant % rng.uniform(26, 34)) < 11
    ribs = cage & rib[:, :, None]
    canvas.hu[ribs] = _BONE
    canvas.labels[ribs] = ID["ribs"]
    if z[-1] > 20:
        box, r = canvas.ellipsoid((0, -0.8 * depth, 90), (16, 9, 95))
        canvas.hu[box][r <= 1] = _BONE * 0.7
        canvas.labels[box][r <= 1] = ID["ribs"]


def _ellipse(canvas: _Canvas, y: float, half_x: float, half_y: float) -> Mask:
    """(J, I): an ellipse on the midline."""
    across, along = canvas.x / half_x, (canvas.y - y) / half_y
    inside: Mask = across[None, :] ** 2 + along[:, None] ** 2 < 1
    return inside


def _near(rng: Rng, *values: float, spread: float = 8.0) -> tuple[float, float, float]:
    moved = rng.normal(values, spread)
    return float(moved[0]), float(moved[1]), float(moved[2])


def _sized(rng: Rng, *values: float) -> tuple[float, float, float]:
    grown = np.array(values) * rng.uniform(0.85, 1.15) * rng.uniform(0.93, 1.07, 3)
    return float(grown[0]), float(grown[1]), float(grown[2])


def _chest(
    canvas: _Canvas, rng: Rng, hu: dict[str, float], scale: tuple[float, float], inside: Mask
) -> None:
    sx, sy = scale
    air = _LUNG + rng.normal(0, 40)
    above = inside & (canvas.z > -25)[:, None, None]
    for name, side in (("right lung", -1), ("left lung", 1)):
        dome = 5 if side < 0 else -5
        canvas.fill(
            _near(rng, side * 76 * sx, 5, 95 + dome, spread=4), _sized(rng, 62 * sx, 82 * sy, 122),
            air, ID[name], within=above,
        )  # fmt: skip
    canvas.fill(
        _near(rng, 25 * sx, -28 * sy, 48), _sized(rng, 55, 46, 52), hu["heart"], ID["heart"],
        within=inside,
    )  # fmt: skip
    lungs = (canvas.labels == ID["right lung"]) | (canvas.labels == ID["left lung"])
    vessels = smooth_field(rng, canvas.hu.shape, [max(4, n // 3) for n in canvas.hu.shape])
    canvas.hu[lungs & (vessels > 2.1)] = hu["vein"] * 0.6
    canvas.fill((0, 10, 190), (9, 9, 70), _AIR, ID["body"], within=inside)


def _abdomen(
    canvas: _Canvas, rng: Rng, hu: dict[str, float], scale: tuple[float, float], inside: Mask
) -> None:
    sx, sy = scale
    for _ in range(int(rng.integers(12, 22))):
        content = rng.choice([30.0, -700.0, 250.0], p=[0.68, 0.22, 0.1])
        canvas.fill(
            (rng.uniform(-95, 95) * sx, rng.uniform(-65, 25) * sy, rng.uniform(-330, -90)),
            _sized(rng, 20, 17, 22), float(content), ID["bowel"], within=inside,
        )  # fmt: skip
    center = _near(rng, 55 * sx, -40 * sy, -48)
    half = _sized(rng, 42, 36, 42)
    canvas.fill(center, half, rng.uniform(10, 40), ID["stomach"], within=inside)
    if rng.random() < 0.7:
        bubble = (center[0], center[1] - 0.45 * half[1], center[2])
        canvas.fill(bubble, (0.7 * half[0], 0.45 * half[1], 0.7 * half[2]), _AIR + 30,
                    ID["stomach"], within=inside)  # fmt: skip
    canvas.fill(
        _near(rng, -72 * sx, -5, -52), _sized(rng, 80 * sx, 74 * sy, 72), hu["liver"], ID["liver"],
        within=inside,
    )  # fmt: skip
    canvas.fill(
        _near(rng, 0, -42 * sy, -40), _sized(rng, 62, 34, 34), hu["liver"], ID["liver"],
        within=inside,
    )  # fmt: skip
    canvas.fill(
        _near(rng, 98 * sx, 32 * sy, -55, spread=5), _sized(rng, 28, 42, 46), hu["spleen"],
        ID["spleen"], within=inside,
    )  # fmt: skip
    for name, side in (("right kidney", -1), ("left kidney", 1)):
        center = _near(rng, side * 62 * sx, 42 * sy, -128 + 6 * side, spread=5)
        half = _sized(rng, 26, 26, 54)
        canvas.fill(center, half, hu["cortex"], ID[name], within=inside)
        for share, value in ((0.68, "medulla"), (0.34, "renal pelvis")):
            core = (half[0] * share, half[1] * share, half[2] * share)
            canvas.fill(center, core, hu[value], ID[name], within=inside)


def _pelvis(
    canvas: _Canvas, rng: Rng, hu: dict[str, float], scale: tuple[float, float], inside: Mask
) -> None:
    sx, sy = scale
    bone = ID["pelvic bones"]
    front = (canvas.y > -45)[None, :, None] & inside
    for side in (-1, 1):
        wing = (side * 78 * sx, 22 * sy, -285.0)
        outward = front & ((canvas.x * side) > 55)[None, None, :]
        canvas.fill(
            wing, _sized(rng, 52 * sx, 72 * sy, 70), _BONE, bone, within=outward, inner=0.74
        )
        hip = (side * 92 * sx, 8.0, -372.0)
        canvas.fill(hip, _sized(rng, 30, 30, 32), _BONE, bone, inner=0.0)
        canvas.fill(hip, (18, 18, 20), 190, bone)
        canvas.fill((side * 112 * sx, 12.0, -425.0), (22, 22, 45), _BONE, bone)
    canvas.fill((0, 0.6 * 115 * sy, -300), _sized(rng, 48, 24, 55), _BONE * 0.8, bone)
    canvas.fill((0, -45 * sy, -395), _sized(rng, 40, 14, 16), _BONE * 0.8, bone)
    canvas.fill(
        _near(rng, 0, -22 * sy, -362), _sized(rng, 42, 36, 34), hu["bladder"], ID["bladder"],
        within=inside,
    )  # fmt: skip


def _tubes(
    canvas: _Canvas, rng: Rng, hu: dict[str, float], scale: tuple[float, float], inside: Mask
) -> None:
    """Aorta and cava, up and down the field of view."""
    _, sy = scale
    z = canvas.z
    parts = (
        ("artery", 14, 34 * sy, 12, (-215, 170)),
        ("artery", -8, -12 * sy, 15, (85, 165)),
        ("vein", -24, 26 * sy, 12, (-215, 25)),
        ("artery", 34, 30 * sy, 8, (-330, -215)),
        ("vein", -36, 34 * sy, 8, (-330, -215)),
    )
    for name, x, y, size, (low, high) in parts:
        px, py = x + rng.normal(0, 4), y + rng.normal(0, 4)
        disc = ((canvas.x[None, :] - px) ** 2 + (canvas.y[:, None] - py) ** 2) < (
            size * rng.uniform(0.85, 1.2)
        ) ** 2
        tube = disc[None] & ((z >= low) & (z <= high))[:, None, None] & inside
        canvas.hu[tube] = hu[name]
        canvas.labels[tube] = ID[name]


def _finish(canvas: _Canvas, rng: Rng) -> None:
    """Texture, partial volume and noise."""
    texture = smooth_field(rng, canvas.hu.shape, [max(3, n // 6) for n in canvas.hu.shape])
    soft = canvas.hu > -300
    canvas.hu[soft] += rng.uniform(3, 10) * texture[soft]
    canvas.hu[...] = blur(canvas.hu, rng.uniform(0.15, 0.5))
    noise = rng.standard_normal(canvas.hu.shape, dtype=np.float32)
    canvas.hu += np.float32(rng.uniform(4, 16)) * noise
    np.maximum(canvas.hu, _AIR, out=canvas.hu)
