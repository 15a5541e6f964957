"""The sentences that accompany every generated text."""

#: shown with every answer, in every export, in every record
NOTICE = "AI-generated, research use only, not for diagnosis."

#: added while the model in use was never trained
UNTRAINED_NOTICE = (
    "UNTRAINED MODEL: its words and its slice scores are random and have no medical meaning."
)
