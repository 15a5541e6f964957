"""Names that the synthetic data use: labels, organs, regions, phases, kinds of lesion.

Knows which label belongs to which organ and what an answer calls it.  Knows nothing of shapes,
Hounsfield units or wording of questions.
"""

from __future__ import annotations

KINDS = ("nodule", "cyst", "calcification")
#: name of each label value of a label array, value 0 first
LABELS = (
    "background",
    "body",
    "right lung",
    "left lung",
    "heart",
    "liver",
    "spleen",
    "right kidney",
    "left kidney",
    "stomach",
    "bladder",
    "artery",
    "vein",
    "spine",
    "ribs",
    "pelvic bones",
    "bowel",
    *KINDS,
)
ID = {name: value for value, name in enumerate(LABELS)}
#: the labels of lesions, in the order of `KINDS`
LESIONS = tuple(ID[kind] for kind in KINDS)
#: what lies in a voxel is not known
UNKNOWN = 255

REGIONS = ("chest", "abdomen", "pelvis")
PHASES = ("non-contrast", "arterial", "portal venous", "delayed")
SIDES = ("right", "left")
LEVELS = ("upper", "middle", "lower")

#: organs that are asked about, as a question names them, with their labels
ORGANS: dict[str, tuple[int, ...]] = {
    "lungs": (ID["right lung"], ID["left lung"]),
    "heart": (ID["heart"],),
    "liver": (ID["liver"],),
    "spleen": (ID["spleen"],),
    "kidneys": (ID["right kidney"], ID["left kidney"]),
    "bladder": (ID["bladder"],),
}
#: organs that may hold a lesion, in the singular, and the name of `ORGANS`
HOLDERS = {
    "lung": "lungs",
    "liver": "liver",
    "kidney": "kidneys",
    "spleen": "spleen",
    "bladder": "bladder",
}
#: label -> the organ in the singular and, for paired organs, the patient's side
ORGAN_OF_LABEL: dict[int, tuple[str, str | None]] = {
    ID["right lung"]: ("lung", "right"),
    ID["left lung"]: ("lung", "left"),
    ID["liver"]: ("liver", None),
    ID["spleen"]: ("spleen", None),
    ID["right kidney"]: ("kidney", "right"),
    ID["left kidney"]: ("kidney", "left"),
    ID["bladder"]: ("bladder", None),
}
