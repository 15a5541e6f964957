"""The sentences that accompany every generated text."""

#: shown with every answer, in every export, in every record
NOTICE = "AI-generated, research use only, not for diagnosis."

#: added while the model in use was never trained
UNTRAINED_NOTICE = (
    "UNTRAINED MODEL: its words and its slice scores are random and have no medical meaning."
)


def whole_notice(about_the_model: str | None) -> str:
    """The notice, followed by what has to be said about the model in use."""
    return f"{NOTICE} {about_the_model}" if about_the_model else NOTICE
