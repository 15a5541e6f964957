"""Fetching the bytes of one file, however often the connection breaks.

Knows partial files, ranges and checksums; does not know which files make a model or where the
folder of unfinished downloads lies.  Why this is not left to huggingface_hub:
docs/decisions/0002-weights-download.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import errors as hub_errors
from huggingface_hub import get_session, hf_raise_for_status

from med2e3.errors import WeightsError
from med2e3.weights.digest import digest
from med2e3.weights.hub import TIMEOUT_S, Hub, Listing, RemoteFile
from med2e3.weights.refusals import HTTP_ERROR, refuse
from med2e3.weights.retry import Retry, TransientError
from med2e3.weights.store import disk_error

#: how often a file that arrived damaged is fetched once more
_REFETCHES = 2
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _BadContentError(Exception):
    """What arrived is not the file that was announced."""


@dataclass(frozen=True)
class Transfer:
    """One file on its way.

    Args:
        hub: where it comes from.
        listing: the revision it belongs to.
        file: what it must be like.
        target: where it lies when it is whole and checked; the folder is made.
        retry: how often to try again.
        stage: told which step begins.
        notify: told what went wrong and what is done about it.
        received: told the number of bytes of this file that are here, each time it changes.
    """

    hub: Hub
    listing: Listing
    file: RemoteFile
    target: Path
    retry: Retry
    stage: Callable[[str], None]
    notify: Callable[[str], None]
    received: Callable[[int], None]

    @property
    def part(self) -> Path:
        """The unfinished file; its name holds the checksum, so that what belongs to another
        revision is never continued."""
        return self.target.with_name(f"{self.target.name}.{self.file.checksum[:16]}.part")

    def bytes_here(self) -> int:
        """Bytes that need not be fetched again (a whole file or the part of one)."""
        for path in (self.target, self.part):
            if path.is_file():
                return min(path.stat().st_size, self.file.size)
        return 0

    def run(self) -> None:
        """Fetch the file, or find it already here; return only when its checksum is right.

        Raises:
            WeightsError: it could not be fetched, or stays damaged.
            ResourceError: the disk is full.
        """
        self.stage(f"Downloading {self.file.path}")
        if self.target.is_file():
            if not self._difference(self.target):
                self.received(self.file.size)
                return
            self.target.unlink()
        self.target.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_REFETCHES + 1):
            problem = self._fetch() or self._difference(self.part)
            if not problem:
                self.part.replace(self.target)
                return
            self.part.unlink(missing_ok=True)
            self.received(0)
            self.notify(f"{self.file.path} {problem}; fetching it from the start.")
            self.stage(f"Downloading {self.file.path} again")
        raise WeightsError(
            f"The file {self.file.path} arrived damaged {_REFETCHES + 1} times: it {problem}.",
            hint="Nothing was installed. Use another network or mirror, or try again later.",
        )

    def _fetch(self) -> str:
        """Bring the part to its full size; give what is wrong with it, or nothing."""
        last_size = self._part_size()

        def progressed() -> bool:
            nonlocal last_size
            before, last_size = last_size, self._part_size()
            return last_size > before

        try:
            self.retry.call(self._attempt, progressed=progressed, notify=self.notify)
        except _BadContentError as error:
            return str(error)
        return ""

    def _attempt(self) -> None:
        """One request; appends what it brings to the part."""
        start = self._part_size()
        if start > self.file.size:
            raise _BadContentError(f"has more than the announced {self.file.size} bytes")
        if start == self.file.size and self.part.exists():
            self.received(start)
            return
        headers = self.hub.headers()
        if start:
            headers["range"] = f"bytes={start}-"
        url = self.hub.file_url(self.listing, self.file)
        try:
            with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_S) as response:
                self._append(response, start)
        except (HTTP_ERROR, hub_errors.OfflineModeIsEnabled) as error:
            refuse(error, self.hub, self.listing.source.repo, self.listing.commit)
        if self._part_size() < self.file.size:
            raise TransientError(
                f"The connection to {self.hub.host} ended before {self.file.path} was complete.",
                hint="Run the command again; what was downloaded is kept.",
            )

    def _append(self, response: Any, start: int) -> None:
        """Write the body of an answer after the first ``start`` bytes, or from the start."""
        if response.status_code == 416:
            raise _BadContentError("cannot be continued where it was cut")
        if response.status_code >= 400:
            response.read()
            hf_raise_for_status(response)
        start, total = _announced(response, start)
        if total is not None and total != self.file.size:
            raise _BadContentError(f"has {total} bytes instead of the announced {self.file.size}")
        size = start
        try:
            with self.part.open("ab" if start else "wb") as stream:
                self.received(size)
                # In the sizes in which they come: collecting them would lose bytes at a cut.
                for chunk in response.iter_bytes():
                    size += len(chunk)
                    if size > self.file.size:
                        raise _BadContentError(
                            f"has more than the announced {self.file.size} bytes"
                        )
                    stream.write(chunk)
                    self.received(size)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise disk_error(error) from error

    def _part_size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _difference(self, path: Path) -> str:
        """How a file differs from what was announced; nothing when it does not."""
        self.stage(f"Checking {self.file.path}")
        return digest(path).mismatch(self.file.size, self.file.sha256, self.file.git_oid)


def _announced(response: Any, start: int) -> tuple[int, int | None]:
    """Where an answer's body begins in the file, and the size of the whole file if it tells."""
    if response.status_code == 206:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != start:
            raise _BadContentError("cannot be continued where it was cut")
        return start, None if match[2] == "*" else int(match[2])
    # The server sends the whole file, whether or not it was asked to continue.
    length = response.headers.get("Content-Length")
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return 0, int(length) if length and not encoded else None
