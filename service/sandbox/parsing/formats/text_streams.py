"""Text files as streams of UTF-8, whatever their encoding and packing; nothing is held in memory as a whole."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import charset_normalizer

from service.sandbox.parsing.formats.packed_files import Opener
from service.sandbox.parsing.refusals import Refused, quoted

CHUNK_BYTES = 2**22
SAMPLE_BYTES = 2**16
"""Bytes of lines that are not ASCII from which an encoding is detected."""
WESTERN = "cp1252"
"""The encoding of most texts that are not UTF-8."""
ISOLATED_SYMBOLS = re.compile(
    rb"(?:[\x00-\x7f]++|[\x80\x85\x91-\x97\xa2-\xa5\xa7\xb0-\xb3\xb5\xbc-\xbe](?![\x80-\xff]))*"
)
"""Text in which only €, …, quotation marks, dashes, ¢, £, ¥, §, °, ±, ², ³, µ and fractions are beyond ASCII."""
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class TextFile:
    """A text in a known encoding."""

    open_bytes: Opener
    encoding: str
    note: str | None = None
    old_mac: bool = False
    """Whether carriage returns alone end lines."""
    lines: int = 0
    """Number of line ends, at least that of rows less one."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the text as UTF-8 without byte order mark, a few MiB at a time.

        Raises:
            Refused: A byte is not of the encoding, or NUL.
        """
        decoder = codecs.getincrementaldecoder(self.encoding)()
        first = True
        with self.open_bytes() as file:
            while True:
                data = file.read(CHUNK_BYTES)
                try:
                    text = decoder.decode(data, final=not data)
                except UnicodeDecodeError as error:
                    raise not_encoded(self.encoding, error) from error
                except UnicodeError as error:  # UTF-16 and UTF-32 say their byte order by a mark
                    raise _without_mark(self.encoding) from error
                if first:
                    text, first = text.removeprefix("\ufeff"), not text
                if "\0" in text:
                    raise Refused(
                        "unreadable", "The file is of no known format: it contains NUL bytes, so it is not text."
                    )
                if self.old_mac:
                    text = text.replace("\r", "\n")
                yield text.encode()
                if not data:
                    return


def not_encoded(encoding: str, error: UnicodeDecodeError) -> Refused:
    """Return the refusal of a byte that is not of the encoding."""
    byte = error.object[error.start]
    message = (
        f"The file is not in {encoding}: byte 0x{byte:02x} ({error.reason}). Pass its encoding, such as "
        "encoding=cp1252 or encoding=gb18030."
    )
    return Refused("not_utf8", message, parameter="encoding")


def _without_mark(encoding: str) -> Refused:
    """Return the refusal of a text that must begin with a byte order mark."""
    message = (
        f"The file is not in {encoding}: it does not begin with a byte order mark. Pass encoding={encoding}-le or "
        f"encoding={encoding}-be if it has none, or leave the encoding out to have it detected."
    )
    return Refused("not_utf8", message, parameter="encoding")


def text_file(open_bytes: Opener, requested: str | None) -> TextFile:
    """Return the text with the requested encoding, or the detected one, after reading all of it once.

    Raises:
        Refused: The encoding is unknown, cannot be detected, or the text is not in it.
    """
    text = TextFile(open_bytes, "utf-8") if requested is None else TextFile(open_bytes, _known(requested))
    if requested is None and (marked := _marked(open_bytes)):
        text = marked
    try:
        return _surveyed(text)
    except Refused as refused:
        cause = refused.__cause__
        if text.encoding != "utf-8" or requested is not None or not isinstance(cause, UnicodeDecodeError):
            raise
        sample = _sample(cause.object)
    return _surveyed(_detected(open_bytes, sample))


def _surveyed(text: TextFile) -> TextFile:
    """Read the text to its end, and return it with the number and the kind of its line ends."""
    newlines = returns = both = 0
    for chunk in text.chunks():
        newlines, returns, both = (
            newlines + chunk.count(b"\n"),
            returns + chunk.count(b"\r"),
            both + chunk.count(b"\r\n"),
        )
    return replace(text, lines=1 + newlines + returns - both, old_mac=returns > 0 and not newlines)


def _marked(open_bytes: Opener) -> TextFile | None:
    """Return the text with the encoding that a byte order mark says; None without a mark."""
    with open_bytes() as file:
        head = file.read(4)
    encoding = next((encoding for mark, encoding in BOMS if head.startswith(mark)), None)
    if encoding is None:
        return _unmarked_utf16(open_bytes, head)
    note = None if encoding == "utf-8" else f"The encoding is {encoding.upper()}, as the file's first bytes say."
    return TextFile(open_bytes, encoding, note)


def _unmarked_utf16(open_bytes: Opener, head: bytes) -> TextFile | None:
    """Return a text in UTF-16 without a mark, whose first letters are ASCII; else None."""
    for encoding, high, low in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if len(head) == 4 and not any(high) and all(low):
            return TextFile(
                open_bytes, encoding, f"The encoding was detected as {encoding}; the option encoding sets another."
            )
    return None


def _known(name: str) -> str:
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        info = None
    if info is None or not info._is_text_encoding:
        message = (
            f"Unknown encoding {quoted(name)!r}. Python's names work, such as utf-8, cp1252, gb18030 or shift_jis."
        )
        raise Refused("bad_encoding", message, parameter="encoding")
    return info.name


def _sample(data: bytes) -> bytes:
    """Return some lines with bytes beyond ASCII."""
    lines, size = [], 0
    for line in io.BytesIO(data):
        if not line.isascii():
            lines.append(line[:SAMPLE_BYTES])
            size += len(lines[-1])
        if size >= SAMPLE_BYTES:
            break
    return b"".join(lines)[:SAMPLE_BYTES]


def _detected(open_bytes: Opener, sample: bytes) -> TextFile:
    encoding = _likely(sample)
    if encoding is None:
        message = (
            "The file is neither UTF-8 text nor in an encoding that can be detected. Pass its encoding, such as "
            "encoding=cp1252."
        )
        raise Refused("not_utf8", message, parameter="encoding")
    note = f"The encoding was detected as {encoding}; the option encoding sets another."
    return TextFile(open_bytes, encoding, note)


def _likely(sample: bytes) -> str | None:
    """Return the most likely encoding; the most frequent one among equals, and of symbols such as ° and £ alone."""
    if ISOLATED_SYMBOLS.fullmatch(sample):
        return WESTERN
    matches = charset_normalizer.from_bytes(sample)
    best = matches.best()
    if best is None:
        return None
    equals = [one for one in matches if (one.chaos, one.coherence) == (best.chaos, best.coherence)]
    return WESTERN if any(WESTERN in one.could_be_from_charset for one in equals) else best.encoding


class ChunkReader(io.RawIOBase):
    """A stream of the bytes that an iterator yields."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` with the next bytes, and return their number."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
