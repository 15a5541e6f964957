"""``SampleData``: records registered sources; nothing is downloaded."""

from __future__ import annotations

from typing import Any

sources: list[dict[str, Any]] = []
_KNOWN = {
    "category", "sampleName", "sampleDescription", "uris", "fileNames", "nodeNames",
    "customDownloader", "thumbnailFileName", "loadFileType", "loadFiles", "loadFileProperties",
    "checksums",
}  # fmt: skip


class SampleDataLogic:
    """What modules call to register their samples."""

    @staticmethod
    def registerCustomSampleDataSource(**arguments: Any) -> None:
        """Record one source."""
        unknown = set(arguments) - _KNOWN
        if unknown:
            raise TypeError(f"registerCustomSampleDataSource has no {sorted(unknown)}")
        sources.append(arguments)
