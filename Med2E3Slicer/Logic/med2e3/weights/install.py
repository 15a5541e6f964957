"""From a plan to an installed model, whole or not at all.

Knows the order of the steps: fetch, check, convert, describe, rename.  Everything is made in
the folder of unfinished downloads; one rename makes it an installed model.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from med2e3 import __version__
from med2e3.errors import Med2E3Error
from med2e3.weights.catalogue import Role
from med2e3.weights.digest import sha256_of
from med2e3.weights.first_use import as_origin, write_origins
from med2e3.weights.hub import Listing
from med2e3.weights.manifest import Manifest, Origin, measure, write_manifest
from med2e3.weights.offline import allowed_files, check_source
from med2e3.weights.plan import PENDING_NAME, Plan, installed_already, known_origins, originals
from med2e3.weights.plan import transfers as plan_transfers
from med2e3.weights.retry import Retry
from med2e3.weights.store import disk_error

if TYPE_CHECKING:
    from med2e3.checkpoint import ConversionReport


class Reporter:
    """Who is told how an installation goes; this one tells nobody.

    An exception raised here (also KeyboardInterrupt) stops the work; what was downloaded stays
    and the next installation continues it.
    """

    def stage(self, sentence: str) -> None:
        """A new step begins."""

    def note(self, sentence: str) -> None:
        """Something happened that a person may want to know."""

    def received(self, done_bytes: int, total_bytes: int) -> None:
        """So much of the whole download is here."""


def install(plan: Plan, *, reporter: Reporter | None = None, retry: Retry | None = None) -> Path:
    """Do what the plan says and give the folder of the installed model.

    Args:
        plan: of :func:`med2e3.weights.plan.plan_from_hub` or ``plan_from_folder``.
        reporter: who is told.
        retry: how often a failing request is tried again.

    Raises:
        ResourceError: the disk is too small.
        WeightsError: a file could not be fetched or is not what it must be, or another process
            is at it.
        CheckpointError: the files do not make a model.
    """
    reporter = reporter or Reporter()
    name, store = plan.entry.name, plan.store
    with store.locked(name):
        # Another process may have finished it between plan and lock.
        if (folder := installed_already(plan.entry, store)) is not None:
            store.drop_partial(name)
            return folder
        plan.require_disk()
        try:
            return _install(plan, reporter, retry or Retry())
        except Med2E3Error:
            raise
        except OSError as error:
            raise disk_error(error) from error


def _install(plan: Plan, reporter: Reporter, retry: Retry) -> Path:
    name, store = plan.entry.name, plan.store
    partial, final = store.partial(name), store.model(name)
    partial.mkdir(parents=True, exist_ok=True)
    if plan.hub is not None:
        origins = _fetch(plan, reporter, retry)
        folders: dict[Role, Path] = {
            source.role: originals(store, name, source.role) for source in plan.entry.sources
        }
    else:
        known = known_origins(store, name)
        origins = tuple(
            check_source(
                plan.folders[source.role],
                source,
                known.get(source.repo),
                lambda path: reporter.stage(f"Checking {path}"),
            )
            for source in plan.entry.sources
        )
        folders = plan.folders
    ready = partial / "ready"
    if ready.exists():
        shutil.rmtree(ready)
    converted = _make_model(plan, folders, ready, reporter)
    if plan.keep_originals and plan.hub is not None and plan.entry.needs_conversion:
        (partial / "originals").replace(ready / "originals")
    reporter.stage("Recording checksums")
    write_manifest(ready, Manifest(name, origins, measure(ready), converted))
    if final.exists():
        # Without a manifest (or it would count as installed): what a removal left over.
        shutil.rmtree(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    write_origins(store.first_use(name), origins)
    ready.replace(final)
    # The published files, pickles among them, go only now that nothing can fail any more.
    store.drop_partial(name)
    return final


def _fetch(plan: Plan, reporter: Reporter, retry: Retry) -> tuple[Origin, ...]:
    """Bring all files of all listings here; give their origins with checksums of the bytes."""
    assert plan.hub is not None
    name, store = plan.entry.name, plan.store
    write_origins(
        store.partial(name) / PENDING_NAME, tuple(as_origin(listing) for listing in plan.listings)
    )
    here: dict[tuple[str, str], int] = {}

    def received(repo: str) -> Callable[[str, int], None]:
        def tell(path: str, size: int) -> None:
            here[repo, path] = size
            reporter.received(sum(here.values()), plan.total_bytes)

        return tell

    origins = []
    for listing in plan.listings:
        transfers = plan_transfers(
            store,
            name,
            plan.hub,
            listing,
            retry=retry,
            stage=reporter.stage,
            notify=reporter.note,
            received=received(listing.source.repo),
        )
        for transfer in transfers:
            here[listing.source.repo, transfer.file.path] = transfer.bytes_here()
        for transfer in transfers:
            transfer.run()
        origins.append(_measured(listing, originals(store, name, listing.source.role)))
    return tuple(origins)


def _measured(listing: Listing, folder: Path) -> Origin:
    """The origin of verified files; where the hub gave no SHA-256 it is measured."""
    origin = as_origin(listing)
    files = {
        path: {**file, "sha256": file["sha256"] or sha256_of(folder / path)}
        for path, file in origin.files.items()
    }
    return Origin(origin.repo, origin.revision, files)


def _make_model(
    plan: Plan, folders: dict[Role, Path], target: Path, reporter: Reporter
) -> dict[str, Any]:
    """Put a loadable model into ``target``; give what is to be remembered of the conversion."""
    entry = plan.entry
    if not entry.needs_conversion:
        reporter.stage("Putting the files in place")
        source = entry.source("model")
        if plan.hub is not None:
            folders["model"].replace(target)
        else:
            for path in allowed_files(folders["model"], source):
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folders["model"] / path, target / path)
        return {}
    # Imported here: it needs torch, which nothing else of this package does.
    from med2e3.checkpoint import convert_checkpoint  # noqa: PLC0415

    reporter.stage("Converting to safetensors")
    report = convert_checkpoint(
        folders["checkpoint"],
        target,
        question_tokenizer=folders["question_tokenizer"],
        progress=reporter.stage,
    )
    return _conversion(report)


def describe_conversion(folder: Path, report: ConversionReport) -> None:
    """Write the manifest of a model that was converted by hand, so that it can be verified.

    Args:
        folder: the converted model.
        report: what the conversion said.

    Raises:
        InputError: the folder cannot be written.
    """
    name = folder.resolve().name
    write_manifest(folder, Manifest(name, (), measure(folder), _conversion(report)))


def _conversion(report: ConversionReport) -> dict[str, Any]:
    return {"software": f"med2e3 {__version__}", **asdict(report)}
