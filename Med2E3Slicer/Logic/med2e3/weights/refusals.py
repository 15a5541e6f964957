"""Why a hub or the network did not give what was asked for, said to a person.

Knows HTTP answers, the hub's error codes and which failures may pass; does not send requests.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

from huggingface_hub import errors as hub_errors

from med2e3.errors import InputError, WeightsError
from med2e3.weights.retry import TransientError

PUBLIC_HUB = "https://huggingface.co"

#: what every failure below HTTP derives from; huggingface_hub 1 and 2 take it from two libraries
HTTP_ERROR: type[Exception] = hub_errors.HTTPError  # type: ignore[attr-defined]

_TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524)


class Server(Protocol):
    """What a sentence needs to know of the server."""

    @property
    def host(self) -> str:
        """Its name."""

    @property
    def token(self) -> str | None:
        """The token that was sent, None for none."""


def refuse(error: Exception, server: Server, repo: str, revision: str) -> NoReturn:
    """Raise the sentence for a failed request.

    Args:
        error: what the HTTP client or huggingface_hub raised.
        server: who was asked.
        repo: repository id.
        revision: commit, branch or tag that was asked for.

    Raises:
        TransientError: it may pass.
        InputError: the repository or the revision does not exist, or may not be read.
        WeightsError: everything else.
    """
    response = getattr(error, "response", None)
    status = response.status_code if response is not None else 0
    if isinstance(error, hub_errors.OfflineModeIsEnabled):
        raise InputError(
            "Downloads are switched off on this computer (HF_HUB_OFFLINE is set).",
            hint="Unset HF_HUB_OFFLINE, or give a folder that holds the files with --from.",
        ) from error
    if isinstance(error, hub_errors.GatedRepoError):
        raise WeightsError(
            f"The owners of {repo} must grant access first; the server refused the download.",
            hint=f"Ask for access on {PUBLIC_HUB}/{repo}, set HF_TOKEN to your token, and "
            "run the command again.",
            detail=str(error),
        ) from error
    if isinstance(error, hub_errors.RevisionNotFoundError):
        raise InputError(
            f"The repository {repo} has no revision {revision!r}.",
            hint="Give a commit of the repository with --revision, or `main` for the newest.",
            detail=str(error),
        ) from error
    if status in (401, 403):
        raise WeightsError(
            f"The server {server.host} does not let us read {repo} (answer {status}).",
            hint="Check the name of the mirror, or set HF_TOKEN to a token that may read it."
            if not server.token
            else "The token in HF_TOKEN is wrong, has ended, or may not read it.",
            detail=str(error),
        ) from error
    if status == 404:
        raise InputError(
            f"The server {server.host} has no such file or repository ({repo}).",
            hint="Check the address given with --mirror or HF_ENDPOINT.",
            detail=str(error),
        ) from error
    if status == 407:
        raise WeightsError(
            "The proxy asks for a user name and password (answer 407).",
            hint="Put them into HTTPS_PROXY, as http://user:password@host:port.",
            detail=str(error),
        ) from error
    if status in _TRANSIENT_STATUS:
        raise TransientError(
            f"The server {server.host} is not available at the moment (answer {status}).",
            hint="Run the command again later; what was downloaded is kept.",
            detail=str(error),
            retry_after_s=_seconds(response),
        ) from error
    if status >= 400:
        raise WeightsError(
            f"The server {server.host} refused the request (answer {status}).",
            hint="Check the address given with --mirror or HF_ENDPOINT.",
            detail=str(error),
        ) from error
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        raise WeightsError(
            f"The certificate of {server.host} could not be verified, so nothing was loaded.",
            hint="If a proxy of your institution checks traffic, set SSL_CERT_FILE to its "
            "certificate.",
            detail=str(error),
        ) from error
    raise TransientError(
        f"The connection to {server.host} failed or was lost.",
        hint="Check the network and HTTPS_PROXY, then run the command again (what was "
        "downloaded is kept), or give a folder that holds the files with --from.",
        detail=repr(error),
    ) from error


def _seconds(response: Any) -> float | None:
    """The seconds that an answer asks to wait; None when it names a date or nothing."""
    wait = response.headers.get("Retry-After")
    return float(wait) if wait and wait.isdigit() else None
