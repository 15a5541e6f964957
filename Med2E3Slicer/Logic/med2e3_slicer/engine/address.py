"""The address of an engine that runs elsewhere, as a person types it.

Knows which addresses are possible and which of them are this computer; connects to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from slicer.i18n import tr as _

from med2e3.errors import InputError
from med2e3.protocol import is_loopback


@dataclass(frozen=True)
class EngineAddress:
    """Where an engine listens.

    Args:
        url: ``https://host:port`` or with a path before the interface's own; no slash at its end.
        host: the host alone.
        is_encrypted: whether what is sent cannot be read on the way.
    """

    url: str
    host: str
    is_encrypted: bool

    @property
    def is_this_computer(self) -> bool:
        """Whether what is sent there does not leave this computer."""
        return is_loopback(self.host)

    @classmethod
    def parse(cls, text: str) -> EngineAddress:
        """Read an address; without ``http://`` or ``https://`` it is taken as https.

        Raises:
            InputError: when it cannot be an engine's address.
        """
        text = text.strip()
        if text and "://" not in text:
            text = f"https://{text}"
        hint = _("Give it as https://HOST:PORT.")
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InputError(_("This is not an engine's address."), hint=hint) from error
        if parts.scheme not in ("http", "https") or not host or any(map(str.isspace, text)):
            raise InputError(_("This is not an engine's address."), hint=hint)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InputError(
                _("An engine's address holds no password and nothing after ? or #."),
                hint=_("Give the token in its own field."),
            )
        place = f"[{host}]" if ":" in host else host
        if port is not None:
            place += f":{port}"
        url = f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
        return cls(url, host, parts.scheme == "https")
