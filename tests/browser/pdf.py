"""The text of a PDF as Chromium writes it: deflated streams, fonts with a table from glyphs to characters."""

import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\s(.*?)endobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_SHOWN = re.compile(r"/(\w+) [\d.]+ Tf|<([0-9A-Fa-f]+)> ?Tj|\[(.*?)\] ?TJ", re.DOTALL)


def text_of(pdf: bytes) -> str:
    """All text in the order in which it is drawn."""
    objects = {int(number): body for number, body in _OBJECT.findall(pdf)}
    characters = {
        number: _characters(_content(objects[int(found[1])]))
        for number, body in objects.items()
        if (found := re.search(rb"/ToUnicode (\d+) 0 R", body))
    }
    pages = [body for body in objects.values() if re.search(rb"/Type\s*/Page\b", body)]
    return "\n".join(_text(page, objects, characters) for page in pages)


def _text(page: bytes, objects: dict[int, bytes], characters: dict[int, dict[int, str]]) -> str:
    fonts = dict(re.findall(rb"/(\w+) (\d+) 0 R", b"".join(re.findall(rb"/Font\s*<<(.*?)>>", page, re.DOTALL))))
    content = re.search(rb"/Contents (\d+) 0 R", page)
    assert content is not None
    text, known = "", dict[int, str]()
    for font, one, many in _SHOWN.findall(_content(objects[int(content[1])])):
        if font:
            known = characters[int(fonts[font.encode()])]
        for glyphs in [one] if one else re.findall(r"<([0-9A-Fa-f]+)>", many):
            text += "".join(known.get(int(glyphs[at : at + 4], 16), "?") for at in range(0, len(glyphs), 4))
    return text


def _content(body: bytes) -> str:
    found = _STREAM.search(body)
    assert found is not None
    return (zlib.decompress(found[1]) if b"FlateDecode" in body else found[1]).decode("latin-1")


def _characters(table: str) -> dict[int, str]:
    """From a CMap: single glyphs, and runs of them."""
    known: dict[int, str] = {}
    for block in re.findall(r"beginbfchar(.*?)endbfchar", table, re.DOTALL):
        for glyph, text in re.findall(r"<(\w+)>\s*<(\w+)>", block):
            known[int(glyph, 16)] = bytes.fromhex(text).decode("utf-16-be")
    for block in re.findall(r"beginbfrange(.*?)endbfrange", table, re.DOTALL):
        for first, last, text in re.findall(r"<(\w+)>\s*<(\w+)>\s*<(\w+)>", block):
            run = range(int(first, 16), int(last, 16) + 1)
            known |= {glyph: chr(int(text, 16) + glyph - run.start) for glyph in run}
    return known
