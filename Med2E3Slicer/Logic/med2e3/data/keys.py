"""The name of a volume in a store, and how annotations of different origin find it.

Knows relative paths.  M3D's own preparation writes names without accents, and its annotation files
name volumes from another root than a person's folder; both are bridged here.  Opens no file.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from med2e3.volume import VOLUME_SUFFIXES

#: letters that no decomposition takes apart, as M3D's file names have them
_PLAIN = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L",
     "đ": "d", "Đ": "D", "ı": "i", "–": "-", "—": "-", "’": "'", "‘": "'"}
)  # fmt: skip


def volume_key(path: str) -> str:
    """The key of a volume: its relative path without suffix and accents, with forward slashes.

    Args:
        path: a path as annotation files write it, such as
            ``"./ct_case/000006/Axial_C__portal_venous_phase.npy"``, or a folder of pictures.

    Returns:
        ``"ct_case/000006/Axial_C__portal_venous_phase"``; empty when nothing is left.
    """
    parts = [part for part in path.strip().replace("\\", "/").split("/") if part not in ("", ".")]
    key = "/".join(part for part in parts if part != "..")
    suffix = next((s for s in VOLUME_SUFFIXES if key.lower().endswith(s)), "")
    return _without_accents(key[: len(key) - len(suffix)])


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize("NFD", text.translate(_PLAIN))
    return unicodedata.normalize(
        "NFC", "".join(sign for sign in apart if unicodedata.category(sign) != "Mn")
    )


#: so many last parts of a path say which volume is meant, whatever stands before
ENOUGH_PARTS = 3


class KeyFinder:
    """Finds the volume that an annotation means.

    A path is taken as it is; or without its first folders, where the last of those is a folder
    that was prepared or at least three parts are left (``ct_case/000006/Axial``); or as the end of
    a key.  So ``ct_quizze/000006/Axial`` never finds the volume of ``ct_case/000006/Axial`` when
    the folder ``ct_case`` alone was prepared.  What fits two volumes fits none.

    Args:
        keys: of all volumes there are.
        roots: names of the folders that were prepared.
    """

    def __init__(self, keys: Iterable[str], roots: Iterable[str] = ()) -> None:
        self._keys = set(keys)
        self._roots = {root_name(root) for root in roots}
        self._by_end: dict[str, list[str]] = defaultdict(list)
        for key in self._keys:
            self._by_end[_last(key)].append(key)

    def find(self, path: str) -> str | None:
        """The key of the volume that a path of an annotation file names, or None."""
        wanted = volume_key(path)
        if wanted in self._keys:
            return wanted
        parts = wanted.split("/")
        for dropped in range(1, len(parts)):
            rest = "/".join(parts[dropped:])
            if rest in self._keys and (
                len(parts) - dropped >= ENOUGH_PARTS or root_name(parts[dropped - 1]) in self._roots
            ):
                return rest
        longer = [key for key in self._by_end[parts[-1]] if key.endswith(f"/{wanted}")]
        return longer[0] if wanted and len(longer) == 1 else None


def _last(key: str) -> str:
    return key.rpartition("/")[2]


def root_name(name: str) -> str:
    """A folder's name; M3D adds ``_npy`` to the name of the folder of pictures for its arrays."""
    return _without_accents(name).removesuffix("_npy")
