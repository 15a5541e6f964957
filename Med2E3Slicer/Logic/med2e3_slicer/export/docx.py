"""A document as DOCX (Office Open XML), written with zipfile.

Knows the few parts of WordprocessingML that one needs: paragraphs, pictures, tables, a footer.
Does not know records. Why no library does it: docs/decisions/0012-documents.md.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence

from slicer.i18n import tr as _

from med2e3_slicer.export.clean import markup
from med2e3_slicer.export.content import Content
from med2e3_slicer.export.pictures import Picture

#: English Metric Units in a centimetre
_EMU = 360_000
#: width of the text on A4 with margins of 2 cm
_TEXT_CM = 17.0
_KEY_CM = 5.4
_TWIPS = 567  # twentieths of a point in a centimetre
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_NAMESPACES = (
    f'xmlns:w="{_WORD}" xmlns:r="{_OFFICE}" xmlns:wp="{_DRAWING}/wordprocessingDrawing" '
    f'xmlns:a="{_DRAWING}/main" xmlns:pic="{_DRAWING}/picture"'
)
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)

#: name → properties of its paragraphs, and of its letters
_STYLES = {
    "Title": ('<w:spacing w:after="120"/>', '<w:b/><w:sz w:val="36"/>'),
    "Heading1": (
        '<w:keepNext/><w:spacing w:before="240" w:after="80"/><w:outlineLvl w:val="0"/>',
        '<w:b/><w:sz w:val="24"/>',
    ),
    "Notice": (
        '<w:shd w:val="clear" w:color="auto" w:fill="FDEEE3"/><w:spacing w:after="80"/>',
        '<w:b/><w:color w:val="7A2E00"/>',
    ),
    "Quiet": ('<w:spacing w:after="60"/>', '<w:color w:val="5C6670"/><w:sz w:val="18"/>'),
}


def as_docx(content: Content, bar: Picture | None, keys: Sequence[Picture]) -> bytes:
    """The document's file.

    Args:
        content: what it says.
        bar: the scores, or ``None``.
        keys: the highest-scored slices, at most three beside each other.
    """
    pictures = [*([bar] if bar else []), *keys]
    body = "".join(_body(content, bar, keys))
    files = {
        "[Content_Types].xml": _content_types(),
        "_rels/.rels": _relations(
            [
                ("rId1", f"{_OFFICE}/officeDocument", "word/document.xml"),
                ("rId2", f"{_PACKAGE}/relationships/metadata/core-properties", "docProps/core.xml"),
            ]
        ),
        "docProps/core.xml": _core(content),
        "word/document.xml": f"{_HEAD}<w:document {_NAMESPACES}><w:body>{body}{_page()}</w:body>"
        "</w:document>",
        "word/styles.xml": _styles(),
        "word/footer1.xml": _footer(content),
        "word/_rels/document.xml.rels": _relations(
            [
                ("rId1", f"{_OFFICE}/styles", "styles.xml"),
                ("rId2", f"{_OFFICE}/footer", "footer1.xml"),
                *(
                    (_picture_id(number), f"{_OFFICE}/image", f"media/image{number}.png")
                    for number in range(1, len(pictures) + 1)
                ),
            ]
        ),
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(_entry(name), text.encode("utf-8"))
        for number, picture in enumerate(pictures, start=1):
            archive.writestr(_entry(f"word/media/image{number}.png"), picture.png)
    return stream.getvalue()


def _body(content: Content, bar: Picture | None, keys: Sequence[Picture]) -> Iterable[str]:
    yield _paragraph(content.title, "Title")
    yield _paragraph(content.notice, "Notice")
    yield _paragraph(content.state, "Quiet")
    for line in content.question:
        yield _paragraph(line, "Quiet")
    for line in content.text:
        yield _paragraph(line)
    if content.slices:
        yield _paragraph(_("Highest-scored slices"), "Heading1")
        if bar:
            yield _paragraph_of(_drawing(1, bar, _TEXT_CM))
            yield _paragraph(bar.caption, "Quiet")
        if keys:
            first = 2 if bar else 1
            cells = [
                _paragraph_of(_drawing(first + number, picture, _KEY_CM))
                + _paragraph(f"{number + 1}. {picture.caption}", "Quiet")
                for number, picture in enumerate(keys)
            ]
            yield _table([cells], [_TEXT_CM / len(cells)] * len(cells))
        else:
            for number, line in enumerate(content.slices, start=1):
                yield _paragraph(f"{number}. {line}")
        yield _paragraph(content.scores_note, "Quiet")
    if content.remarks:
        yield _paragraph(_("Remarks"), "Heading1")
        for remark in content.remarks:
            yield _paragraph(f"• {remark}")
    yield _paragraph(_("Details"), "Heading1")
    rows = [
        [_paragraph(name, "Quiet"), _paragraph(value, "Quiet")] for name, value in content.details
    ]
    yield _table(rows, [4.5, _TEXT_CM - 4.5])
    yield _paragraph(content.notice, "Notice")


def _paragraph(text: str, style: str = "") -> str:
    return _paragraph_of(f'<w:r><w:t xml:space="preserve">{markup(text)}</w:t></w:r>', style)


def _paragraph_of(runs: str, style: str = "") -> str:
    if not runs.startswith("<w:r>"):
        runs = f"<w:r>{runs}</w:r>"
    chosen = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{chosen}{runs}</w:p>"


def _table(rows: Sequence[Sequence[str]], widths_cm: Sequence[float]) -> str:
    widths = [round(width * _TWIPS) for width in widths_cm]
    grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
    body = ""
    for row in rows:
        cells = (
            f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/></w:tcPr>{cell}</w:tc>'
            for width, cell in zip(widths, row, strict=True)
        )
        body += f"<w:tr><w:trPr><w:cantSplit/></w:trPr>{''.join(cells)}</w:tr>"
    properties = f'<w:tblW w:w="{sum(widths)}" w:type="dxa"/><w:tblLayout w:type="fixed"/>'
    return f"<w:tbl><w:tblPr>{properties}</w:tblPr><w:tblGrid>{grid}</w:tblGrid>{body}</w:tbl>"


def _drawing(number: int, picture: Picture, width_cm: float) -> str:
    width = round(width_cm * _EMU)
    height = round(width * picture.height / picture.width)
    size = f'cx="{width}" cy="{height}"'
    name = f'id="{number}" name="Picture {number}"'
    told = f'descr="{markup(picture.caption)}"'
    return (
        f'<w:drawing><wp:inline distT="0" distB="0" distL="0" distR="0"><wp:extent {size}/>'
        f"<wp:docPr {name} {told}/><a:graphic>"
        f'<a:graphicData uri="{_DRAWING}/picture"><pic:pic>'
        f"<pic:nvPicPr><pic:cNvPr {name}/><pic:cNvPicPr/></pic:nvPicPr>"
        f'<pic:blipFill><a:blip r:embed="{_picture_id(number)}"/><a:stretch><a:fillRect/>'
        '</a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/>'
        f'<a:ext {size}/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr>'
        "</pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing>"
    )


def _picture_id(number: int) -> str:
    return f"rId{number + 2}"


def _page() -> str:
    margin = round(2 * _TWIPS)
    margins = " ".join(f'w:{side}="{margin}"' for side in ("top", "right", "bottom", "left"))
    return (
        '<w:sectPr><w:footerReference w:type="default" r:id="rId2"/>'
        f'<w:pgSz w:w="11906" w:h="16838"/><w:pgMar {margins} w:header="708" w:footer="567" '
        'w:gutter="0"/></w:sectPr>'
    )


def _footer(content: Content) -> str:
    page = '<w:fldSimple w:instr=" PAGE "><w:r><w:t>1</w:t></w:r></w:fldSimple>'
    said = markup(f"{content.notice} {_('Page')} ")
    text = f'<w:r><w:t xml:space="preserve">{said}</w:t></w:r>{page}'
    return f"{_HEAD}<w:ftr {_NAMESPACES}>{_paragraph_of(text, 'Quiet')}</w:ftr>"


def _styles() -> str:
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{name}"><w:name w:val="{name}"/>'
        f'<w:basedOn w:val="Normal"/><w:pPr>{paragraph}</w:pPr><w:rPr>{letters}</w:rPr></w:style>'
        for name, (paragraph, letters) in _STYLES.items()
    ).replace('w:name w:val="Heading1"', 'w:name w:val="heading 1"')
    return (
        f'{_HEAD}<w:styles {_NAMESPACES}><w:docDefaults><w:rPrDefault><w:rPr><w:sz w:val="21"/>'
        '</w:rPr></w:rPrDefault><w:pPrDefault><w:pPr><w:spacing w:after="100"/></w:pPr>'
        "</w:pPrDefault></w:docDefaults>"
        '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/>'
        f"</w:style>{styles}</w:styles>"
    )


def _core(content: Content) -> str:
    return (
        f'{_HEAD}<cp:coreProperties xmlns:cp="{_PACKAGE}/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title>{markup(content.title)}</dc:title><dc:creator>Med2E3Slicer</dc:creator>"
        f"<dc:description>{markup(content.notice)}</dc:description></cp:coreProperties>"
    )


def _content_types() -> str:
    word = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    parts = {
        "/word/document.xml": f"{word}.document.main+xml",
        "/word/styles.xml": f"{word}.styles+xml",
        "/word/footer1.xml": f"{word}.footer+xml",
        "/docProps/core.xml": "application/vnd.openxmlformats-package.core-properties+xml",
    }
    overrides = "".join(
        f'<Override PartName="{part}" ContentType="{kind}"/>' for part, kind in parts.items()
    )
    return (
        f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Default Extension="png" ContentType="image/png"/>{overrides}</Types>'
    )


def _relations(relations: Iterable[tuple[str, str, str]]) -> str:
    inside = "".join(
        f'<Relationship Id="{name}" Type="{kind}" Target="{target}"/>'
        for name, kind, target in relations
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{inside}</Relationships>'


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
