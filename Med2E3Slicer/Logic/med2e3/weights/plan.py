"""What a download will do, worked out before anything is written.

Knows the catalogue, the hub's listing, what is already here and how much disk it takes; does
not fetch, convert or install.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from med2e3.errors import InputError, ResourceError, WeightsError
from med2e3.sizes import human_bytes
from med2e3.weights.catalogue import CatalogueEntry, HubSource, Role
from med2e3.weights.first_use import read_origins, with_first_use, with_pins
from med2e3.weights.hub import Hub, Listing
from med2e3.weights.manifest import Origin, read_manifest
from med2e3.weights.offline import allowed_files, find_source
from med2e3.weights.retry import Retry
from med2e3.weights.store import Store
from med2e3.weights.transfer import Transfer

#: kept free on top of what is needed
_SPARE_FRACTION = 0.05
#: file in the folder of an unfinished download that holds what its first start found
PENDING_NAME = "origins.json"


@dataclass(frozen=True)
class Plan:
    """What :func:`med2e3.weights.install.install` will do.

    Attributes:
        entry: the catalogue's entry.
        store: where it will be installed.
        hub: where files come from; None when they come from folders.
        listings: per source what the hub announces; empty when files come from folders.
        folders: per role the folder given by the person; empty when files come from a hub.
        keep_originals: whether the published files stay beside the converted model.
        total_bytes: size of all source files.
        download_bytes: of these, what is not here yet.
        disk_bytes: free space needed, with conversion and a little to spare.
        disk_free_bytes: free space now.
        remarks: sentences a person should read before agreeing.
    """

    entry: CatalogueEntry
    store: Store
    hub: Hub | None
    listings: tuple[Listing, ...]
    folders: dict[Role, Path]
    keep_originals: bool
    total_bytes: int
    download_bytes: int
    disk_bytes: int
    disk_free_bytes: int
    remarks: tuple[str, ...]

    def require_disk(self) -> None:
        """Refuse to start when the disk is too small.

        Raises:
            ResourceError: naming what is needed and what is free.
        """
        if self.disk_free_bytes < self.disk_bytes:
            raise ResourceError(
                f"The disk has {human_bytes(self.disk_free_bytes)} free, but the download and "
                f"its conversion need {human_bytes(self.disk_bytes)}.",
                hint="Free some space, or set MED2E3_HOME to a folder on a larger disk.",
            )


def plan_from_hub(
    entry: CatalogueEntry,
    store: Store,
    hub: Hub,
    *,
    revision: str | None = None,
    keep_originals: bool = False,
    retry: Retry | None = None,
    notify: Callable[[str], None] = lambda sentence: None,
) -> Plan:
    """Ask the hub what there is and work out what is to be done.

    Args:
        entry: the model.
        store: where to install it.
        hub: where to ask.
        revision: commit, branch or tag of the model itself (the first source); None for the
            pinned one, else the one of the first download, else the newest.
        keep_originals: keep the published files.
        retry: how often to try again.
        notify: told each sentence a person may want to read meanwhile.

    Raises:
        WeightsError: the hub refuses, or announces something else than is known.
        InputError: no such repository or revision.
    """
    known = known_origins(store, entry.name)
    listings = []
    remarks = []
    for index, source in enumerate(entry.sources):
        asked = revision if index == 0 else None
        remembered = known.get(source.repo) if asked is None else None
        wanted = asked or source.revision or (remembered and remembered.revision) or "main"
        listing = (retry or Retry()).call(
            lambda source=source, wanted=wanted: hub.list_files(source, wanted),  # type: ignore[misc]
            notify=notify,
        )
        listings.append(with_first_use(with_pins(listing), remembered))
        remarks.extend(_remarks(source, listing, remembered, hub))
    total = sum(file.size for listing in listings for file in listing.files)
    here = sum(
        transfer.bytes_here()
        for listing in listings
        for transfer in transfers(store, entry.name, hub, listing)
    )
    return _plan(
        entry,
        store,
        hub=hub,
        listings=tuple(listings),
        folders={},
        keep_originals=keep_originals,
        total_bytes=total,
        download_bytes=total - here,
        remarks=tuple(remarks),
    )


def plan_from_folder(
    entry: CatalogueEntry, store: Store, folder: Path, *, keep_originals: bool = False
) -> Plan:
    """Find a model's files below a folder and work out what is to be done.

    Raises:
        InputError: the folder does not hold them, or holds them more than once.
    """
    folders = {source.role: find_source(folder, source) for source in entry.sources}
    total = sum(
        (folders[source.role] / name).stat().st_size
        for source in entry.sources
        for name in allowed_files(folders[source.role], source)
    )
    return _plan(
        entry,
        store,
        hub=None,
        listings=(),
        folders=folders,
        keep_originals=keep_originals,
        total_bytes=total,
        download_bytes=0,
        remarks=(),
    )


def installed_already(
    entry: CatalogueEntry, store: Store, *, revision: str | None = None
) -> Path | None:
    """The folder of the model when it is installed and its files have the right sizes.

    Raises:
        WeightsError: it is installed but damaged, or another revision is asked for.
    """
    if not store.is_installed(entry.name):
        return None
    folder = store.model(entry.name)
    manifest = read_manifest(folder)
    again = f"Run `med2e3 models remove {entry.name}`, then download it again."
    if manifest is None or any(
        not (folder / name).is_file() or (folder / name).stat().st_size != expected["size"]
        for name, expected in manifest.files.items()
    ):
        raise WeightsError(
            f"The model {entry.name!r} is installed, but a file of it is missing or was changed.",
            hint=again,
        )
    if revision is not None and revision != manifest.revision:
        raise InputError(
            f"The model {entry.name!r} is already installed, from revision "
            f"{(manifest.revision or 'unknown')[:12]}.",
            hint=again,
        )
    return folder


def transfers(
    store: Store,
    name: str,
    hub: Hub,
    listing: Listing,
    *,
    retry: Retry | None = None,
    stage: Callable[[str], None] = lambda sentence: None,
    notify: Callable[[str], None] = lambda sentence: None,
    received: Callable[[str, int], None] = lambda path, size: None,
) -> list[Transfer]:
    """One transfer per file of a listing, into the folder of unfinished downloads."""
    folder = originals(store, name, listing.source.role)
    return [
        Transfer(
            hub=hub,
            listing=listing,
            file=file,
            target=folder / file.path,
            retry=retry or Retry(),
            stage=stage,
            notify=notify,
            received=lambda size, path=file.path: received(path, size),  # type: ignore[misc]
        )
        for file in listing.files
    ]


def originals(store: Store, name: str, role: Role) -> Path:
    """Where the files of one source lie while a download is unfinished."""
    return store.partial(name) / "originals" / role


def known_origins(store: Store, name: str) -> dict[str, Origin]:
    """What is remembered of this model: of its first download, else of an unfinished one."""
    return read_origins(store.first_use(name)) or read_origins(store.partial(name) / PENDING_NAME)


def _plan(
    entry: CatalogueEntry,
    store: Store,
    *,
    hub: Hub | None,
    listings: tuple[Listing, ...],
    folders: dict[Role, Path],
    keep_originals: bool,
    total_bytes: int,
    download_bytes: int,
    remarks: tuple[str, ...],
) -> Plan:
    # At the peak the originals and the converted model, of the same size, lie side by side.
    # Files in a person's folder are read where they are, so only what is written counts.
    written = total_bytes if entry.needs_conversion or hub is None else 0
    return Plan(
        entry=entry,
        store=store,
        hub=hub,
        listings=listings,
        folders=folders,
        keep_originals=keep_originals,
        total_bytes=total_bytes,
        download_bytes=download_bytes,
        disk_bytes=int((download_bytes + written) * (1 + _SPARE_FRACTION)),
        disk_free_bytes=shutil.disk_usage(_existing(store.root)).free,
        remarks=remarks,
    )


def _remarks(source: HubSource, listing: Listing, remembered: Origin | None, hub: Hub) -> list[str]:
    remarks = []
    trusted = source.revision == listing.commit or (
        remembered is not None and remembered.revision == listing.commit
    )
    if not trusted:
        remarks.append(
            f"{source.repo}: this revision is not pinned in the catalogue. Commit "
            f"{listing.commit[:12]} and the checksums that the hub announces are recorded now, "
            "and later downloads must equal them."
        )
        address = urlsplit(hub.endpoint)
        if address.scheme == "http" and address.hostname not in ("localhost", "127.0.0.1", "::1"):
            remarks.append(
                f"{hub.host} is reached without encryption and nothing is pinned: whoever is on "
                "the way could exchange the files."
            )
    return remarks


def _existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
