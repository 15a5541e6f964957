"""Questions to begin with, by topic.

Knows M3D-VQA's five topics and wordings that the models were taught.  The topics' names are
translated; the questions are not, because the models were trained in English.
"""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _


@dataclass(frozen=True)
class Suggestion:
    """A question, with choices when it is multiple choice."""

    text: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topic:
    """A topic's name for people and its questions, the simplest first."""

    key: str
    title: str
    suggestions: tuple[Suggestion, ...]


def topics() -> tuple[Topic, ...]:
    """The five topics of M3D-VQA, named in the language of the application."""
    return (
        Topic("plane", _("Plane"), _PLANE),
        Topic("phase", _("Phase"), _PHASE),
        Topic("organ", _("Organ"), _ORGAN),
        Topic("abnormality", _("Abnormality"), _ABNORMALITY),
        Topic("location", _("Location"), _LOCATION),
    )


_PLANE = (
    Suggestion("In which plane is this CT?"),
    Suggestion("What is the plane of this CT?", ("axial", "coronal", "sagittal")),
)
_PHASE = (
    Suggestion("What is the contrast phase of this CT?"),
    Suggestion(
        "Which contrast phase does this CT show?",
        ("non-contrast", "arterial", "portal venous", "delayed"),
    ),
)
_ORGAN = (
    Suggestion("Which part of the body does this CT show?"),
    Suggestion("Which organs are visible?"),
    Suggestion("Which organ is abnormal?"),
    Suggestion("Does this volume show the liver?", ("yes", "no")),
)
_ABNORMALITY = (
    Suggestion("Is there an abnormality?"),
    Suggestion("What kind of abnormality is there?"),
    Suggestion("Is there a lesion in the lung?"),
    Suggestion("Is there a focal lesion?", ("yes", "no")),
)
_LOCATION = (
    Suggestion("Where is the lesion?"),
    Suggestion("On which side of the patient is the lesion?", ("right", "left")),
    Suggestion("At which level of the volume is the lesion?", ("upper", "middle", "lower")),
)
