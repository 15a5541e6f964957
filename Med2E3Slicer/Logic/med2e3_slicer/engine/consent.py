"""A person's consent before anything leaves this computer.

Knows what is sent to an engine elsewhere, in words, and who agreed to which address. Shows no
dialog: the panel asks with these words, a script says yes in its call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from slicer.i18n import tr as _

from med2e3.errors import InputError
from med2e3.sizes import human_bytes
from med2e3.volume import MODEL_SIZE
from med2e3_slicer.engine.address import EngineAddress
from med2e3_slicer.engine.settings import EngineSettings


@dataclass(frozen=True)
class ConsentRequest:
    """What a person is asked before the first question goes to an engine elsewhere.

    Args:
        address: of the engine.
        sent: what is sent, one sentence each.
        not_sent: what stays here, one sentence.
        warning: what must be known besides; may be empty.
    """

    address: str
    sent: tuple[str, ...]
    not_sent: str
    warning: str = ""

    @property
    def text(self) -> str:
        """All of it, for a dialog or a log."""
        lines = [
            _("The engine at {address} runs on another computer. It is sent:").format(
                address=self.address
            )
        ]
        lines += [f"\N{BULLET} {sentence}" for sentence in self.sent]
        parts = ["\n".join(lines), self.not_sent, self.warning]
        return "\n\n".join(part for part in parts if part)


def consent_request(
    address: EngineAddress, input_size: Sequence[int] = MODEL_SIZE
) -> ConsentRequest:
    """The words for one address.

    Args:
        address: where the engine runs.
        input_size: (slices, rows, columns) of the engine's model, when it is known already.
    """
    slices, rows, columns = input_size
    size = human_bytes(4 * math.prod(input_size))
    return ConsentRequest(
        address=address.url,
        sent=(
            _(
                "the picture that the model sees: {slices} slices of {rows} × {columns} grey "
                "values ({size}) made of the volume;"
            ).format(slices=slices, rows=rows, columns=columns, size=size),
            _(
                "your question, its choices, and the earlier questions and answers if it follows "
                "on from them;"
            ),
            _("how the answer is to be generated (its length, the seed)."),
        ),
        not_sent=_(
            "The volume itself, its name, the patient's name, dates, DICOM headers and file "
            "names are not sent. Do not type a patient's name into a question."
        ),
        warning=""
        if address.is_encrypted
        else _(
            "The connection is not encrypted (http): whoever is on the network between can read "
            "the picture, the question and the token."
        ),
    )


class ConsentNeeded(InputError):  # noqa: N818 (a question to the person, not a fault)
    """Nothing was sent, since nobody agreed to it yet.

    Attributes:
        request: what to ask the person.
    """

    code = "consent"

    def __init__(self, request: ConsentRequest) -> None:
        super().__init__(
            _(
                "Nothing was sent: the engine runs on another computer, and nobody has agreed to "
                "sending it the picture and the question."
            ),
            hint=_("Agree in the panel, or in a script with use_remote(..., consent=True)."),
        )
        self.request = request


class Consents:
    """Who agreed to what: for this session, or for good where the person says so.

    Args:
        settings: where what is for good is kept.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._now: set[str] = set()

    def is_given(self, address: EngineAddress) -> bool:
        """Whether pictures and questions may be sent to this address."""
        return (
            address.is_this_computer
            or address.url in self._now
            or address.url in self._settings.agreed_addresses
        )

    def give(self, address: EngineAddress, *, remember: bool = False) -> None:
        """The person agreed.

        Args:
            address: to sending to this address.
            remember: also the next time Slicer runs.
        """
        self._now.add(address.url)
        if remember:
            self._settings.agreed_addresses = {*self._settings.agreed_addresses, address.url}

    def withdraw(self, address: EngineAddress) -> None:
        """The person no longer agrees."""
        self._now.discard(address.url)
        self._settings.agreed_addresses = self._settings.agreed_addresses - {address.url}

    def check(self, address: EngineAddress, input_size: Sequence[int] = MODEL_SIZE) -> None:
        """Nothing may be sent before this was called.

        Raises:
            ConsentNeeded: when nobody has agreed to this address.
        """
        if not self.is_given(address):
            raise ConsentNeeded(consent_request(address, input_size))
