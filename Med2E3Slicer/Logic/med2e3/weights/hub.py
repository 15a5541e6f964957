"""Asking a hub what a repository holds.

Knows the hub's addresses, its metadata and who gets the token; does not write any file.
Metadata comes through huggingface_hub, and so does the HTTP client, which honours HTTPS_PROXY,
NO_PROXY and SSL_CERT_FILE.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

# Before the library is loaded: it would else add the versions of other installed packages to
# each request and once a day ask the hub for a list of calling programs.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub import errors as hub_errors

from med2e3 import __version__
from med2e3.errors import InputError, WeightsError
from med2e3.weights.catalogue import HubSource, is_commit
from med2e3.weights.refusals import HTTP_ERROR, PUBLIC_HUB, refuse

# The same when something else (transformers) loaded the library first.
constants.HF_HUB_DISABLE_TELEMETRY = True

#: seconds without a byte after which a connection counts as lost
TIMEOUT_S = 30.0

_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_OID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class RemoteFile:
    """One file as it is expected to be.

    Attributes:
        path: path in the repository.
        size: bytes.
        sha256: 64 digits; the hub gives it for large files.
        git_oid: 40 digits; the hub gives it for small files.  One of the two is always there.
    """

    path: str
    size: int
    sha256: str | None
    git_oid: str | None

    @property
    def checksum(self) -> str:
        """The checksum that is known, the stronger one if both are."""
        return self.sha256 or self.git_oid or ""


@dataclass(frozen=True)
class Listing:
    """What a hub says about one revision of a repository.

    Attributes:
        source: which repository and which files were asked for.
        commit: 40 hexadecimal digits.
        files: the allowed files that the repository has.
    """

    source: HubSource
    commit: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True)
class Hub:
    """A hub or a mirror of it.

    Attributes:
        endpoint: address without a slash at the end.
        token: sent to this address only, never to where it redirects; None for none.
    """

    endpoint: str
    token: str | None = None

    @property
    def host(self) -> str:
        """Name of the server, for sentences."""
        return urlsplit(self.endpoint).hostname or self.endpoint

    def headers(self) -> dict[str, str]:
        """Headers of a request for a file's bytes."""
        headers = {"user-agent": f"med2e3/{__version__}", "accept-encoding": "identity"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        return headers

    def file_url(self, listing: Listing, file: RemoteFile) -> str:
        """Address of a file's bytes."""
        return hf_hub_url(
            listing.source.repo, file.path, revision=listing.commit, endpoint=self.endpoint
        )

    def list_files(self, source: HubSource, revision: str) -> Listing:
        """Ask for the allowed files of a revision, with sizes and checksums.

        Args:
            source: the repository and what may be taken from it.
            revision: a commit, branch or tag.

        Raises:
            WeightsError: the hub refuses (see :func:`med2e3.weights.refusals.refuse`), or gives
                no size or checksum of a file.
        """
        api = HfApi(
            endpoint=self.endpoint,
            token=self.token or False,
            library_name="med2e3",
            library_version=__version__,
        )
        try:
            info = api.model_info(
                source.repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S
            )
        except (HTTP_ERROR, hub_errors.OfflineModeIsEnabled) as error:
            refuse(error, self, source.repo, revision)
        except ImportError as error:
            # The client looks at the proxy's address only when it is first used.
            raise WeightsError(
                "The proxy of this computer is of the SOCKS kind, for which a package is missing.",
                hint="Install it with `pip install socksio`, or set HTTPS_PROXY to an HTTP proxy "
                "and unset ALL_PROXY.",
                detail=repr(error),
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._no_hub(detail=repr(error)) from error
        commit = info.sha or ""
        if not is_commit(commit):
            raise self._no_hub(detail=f"commit {commit!r}")
        if is_commit(revision) and commit != revision:
            raise WeightsError(
                f"The server {self.host} gave another revision of {source.repo} than asked for.",
                hint="Use another mirror.",
                detail=f"asked {revision}, got {commit}",
            )
        found = []
        for sibling in info.siblings or ():
            if source.rule_for(sibling.rfilename) is None:
                continue
            lfs = sibling.lfs
            size = lfs.size if lfs else sibling.size
            sha256 = lfs.sha256 if lfs else None
            git_oid = None if lfs else sibling.blob_id
            if size is None or not (sha256 or git_oid):
                found.append(self._ask_file(source.repo, commit, sibling.rfilename))
            else:
                found.append(RemoteFile(sibling.rfilename, size, sha256, git_oid))
        return Listing(source, commit, tuple(found))

    def _ask_file(self, repo: str, commit: str, path: str) -> RemoteFile:
        """Size and checksum of one file, for hubs whose listing lacks them."""
        url = hf_hub_url(repo, path, revision=commit, endpoint=self.endpoint)
        try:
            metadata = get_hf_file_metadata(
                url,
                token=self.token or False,
                timeout=TIMEOUT_S,
                library_name="med2e3",
                library_version=__version__,
            )
        except (HTTP_ERROR, hub_errors.OfflineModeIsEnabled) as error:
            refuse(error, self, repo, commit)
        etag = metadata.etag or ""
        sha256 = etag if _SHA256.fullmatch(etag) else None
        git_oid = etag if _GIT_OID.fullmatch(etag) else None
        if metadata.size is None or not (sha256 or git_oid):
            raise WeightsError(
                f"The server {self.host} gives no size or checksum of {path}, so damage could "
                "not be noticed.",
                hint="Use another mirror, or give a folder that holds the files with --from.",
                detail=f"size {metadata.size}, etag {etag!r}",
            )
        return RemoteFile(path, metadata.size, sha256, git_oid)

    def _no_hub(self, *, detail: str) -> WeightsError:
        return WeightsError(
            f"The server {self.host} does not answer as a Hugging Face hub does.",
            hint="Check the address given with --mirror or HF_ENDPOINT, and the proxy.",
            detail=detail,
        )


def choose_hub(mirror: str | None) -> Hub:
    """The hub to use: ``mirror``, else HF_ENDPOINT, else the public hub; token from HF_TOKEN.

    Raises:
        InputError: the address is none.
    """
    endpoint = (mirror or os.environ.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            "The address of the mirror is not one that can be downloaded from.",
            hint=f"It looks like {PUBLIC_HUB}.",
        )
    return Hub(endpoint, (os.environ.get("HF_TOKEN") or "").strip() or None)
