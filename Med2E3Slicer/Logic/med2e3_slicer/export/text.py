"""A document as plain text, for files and for the clipboard."""

from __future__ import annotations

from slicer.i18n import tr as _

from med2e3_slicer.export.content import Content


def as_text(content: Content) -> str:
    """All parts below each other, lines as long as they are; a newline at the end."""
    parts = [
        [content.title.upper(), content.notice, content.state],
        content.question,
        content.text,
    ]
    if content.slices:
        parts.append([_("Highest-scored slices"), *content.slices, content.scores_note])
    if content.remarks:
        parts.append([_("Remarks"), *(f"- {remark}" for remark in content.remarks)])
    parts.append([_("Details"), *(f"{name}: {value}" for name, value in content.details)])
    parts.append([content.notice])
    return "\n\n".join("\n".join(part) for part in parts) + "\n"
