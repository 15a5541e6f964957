"""What ``med2e3 models list`` shows, one row per model.

Knows the catalogue, the store and the embedded model; does not know how rows are printed.
"""

from __future__ import annotations

from dataclasses import dataclass

from med2e3 import __version__
from med2e3.weights.catalogue import load_catalogue
from med2e3.weights.manifest import read_manifest
from med2e3.weights.resolve import EMBEDDED_NAME, embedded_model_dir
from med2e3.weights.store import Store, folder_bytes, store_dir


@dataclass(frozen=True)
class ModelRow:
    """One model.

    Attributes:
        name: what ``--model`` takes.
        title: one line.
        installed: whether it can be used now.
        state: the same in words, with what an unfinished download holds.
        bytes_on_disk: of the installed model, or of its unfinished download.
        download_bytes: approximate size of the download, 0 when there is nothing to download.
        revision: commit, None when it is not known yet.
        revision_text: the same in words.
        licence: name of the licence, "" when unknown.
    """

    name: str
    title: str
    installed: bool
    state: str
    bytes_on_disk: int
    download_bytes: int
    revision: str | None
    revision_text: str
    licence: str


def model_rows() -> list[ModelRow]:
    """The embedded model, then the catalogue, then what else the store holds."""
    store = Store(store_dir())
    catalogue = load_catalogue()
    rows = [_embedded()]
    for entry in catalogue.values():
        rows.append(
            _row(
                store,
                entry.name,
                title=entry.title,
                licence=entry.licence.name,
                download_bytes=entry.approximate_bytes,
                pinned=entry.revision,
            )
        )
    for name in store.installed_names():
        if name not in catalogue:
            rows.append(_row(store, name, title="", licence="", download_bytes=0, pinned=None))
    return rows


def _embedded() -> ModelRow:
    folder = embedded_model_dir()
    present = (folder / "config.json").is_file()
    return ModelRow(
        name=EMBEDDED_NAME,
        title="small model that comes with the software",
        installed=present,
        state="always" if present else "missing",
        bytes_on_disk=folder_bytes(folder),
        download_bytes=0,
        revision=f"med2e3 {__version__}",
        revision_text=f"med2e3 {__version__}",
        licence="Apache-2.0",
    )


def _row(
    store: Store,
    name: str,
    *,
    title: str,
    licence: str,
    download_bytes: int,
    pinned: str | None,
) -> ModelRow:
    installed = store.is_installed(name)
    revision, unknown = pinned, "revision not pinned yet: will be recorded at download"
    if installed and (manifest := read_manifest(store.model(name))) is not None:
        revision, unknown = manifest.revision, "unknown: installed from a folder"
    partial = folder_bytes(store.partial(name))
    state = "yes" if installed else "download unfinished" if partial else "no"
    return ModelRow(
        name=name,
        title=title,
        installed=installed,
        state=state,
        bytes_on_disk=folder_bytes(store.model(name)) if installed else partial,
        download_bytes=download_bytes,
        revision=revision,
        revision_text=revision[:12] if revision else unknown,
        licence=licence,
    )
