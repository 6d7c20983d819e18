"""Whether the pixel data is the original's: the same bytes, codestreams or decoded pixels.

Native data is compared in `native`. Encapsulated data is compared frame by frame after comments
were stripped from both. Where the output is in another transfer syntax, both are decoded and the
pixels compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from node.validate import codestream, decoded, video
from node.validate.elements import BULK, Element
from node.validate.findings import Finding, Severity
from node.validate.native import NativePixels, check_length, frame_count, invalid, pixel_count
from node.validate.reader import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, Parsed

_EXTENDED_OFFSETS = 0x7FE00001, 0x7FE00002
_RLE = "1.2.840.10008.1.2.5"
_NATIVE = frozenset({IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, "1.2.840.10008.1.2.1.99"})


def check_pixels(
    source: Parsed, output: Parsed, source_path: Path, output_path: Path
) -> Iterator[Finding]:
    """Compare pixel data of any kind but native; nothing to compare is fine if neither has any."""
    tags = _bulk_tags(source, output)
    if len(tags) > 1:
        yield invalid("There is more than one kind of pixel data.")
    for tag in tags:
        before, after = source.dataset.by_tag.get(tag), output.dataset.by_tag.get(tag)
        if before is None or after is None:
            yield invalid("Pixel data is gone." if before else "Pixel data appeared.")
        elif is_transcoded(source, output):
            if after.fragments is None:
                yield from check_length(output, after)
            if not decoded.are_equal(source_path, output_path):
                yield invalid("Transcoded, and the decoded pixels differ.")
            if after.fragments is not None:
                yield from _check_remarks(output, after)
        elif before.fragments is not None and after.fragments is not None:
            yield from _check_frames(source, output, before, after)
        elif before.fragments is not None or after.fragments is not None:
            yield invalid("Encapsulated and native do not fit their transfer syntaxes.")


def native_pixels(source: Parsed, output: Parsed) -> NativePixels | None:
    """Give what is to be compared byte by byte; None where pixel data is of another kind."""
    for tag in _bulk_tags(source, output):
        both = (source.dataset.by_tag.get(tag), output.dataset.by_tag.get(tag))
        if all(one is not None and one.fragments is None for one in both):
            return None if is_transcoded(source, output) else NativePixels(source, output, tag)
    return None


def _bulk_tags(source: Parsed, output: Parsed) -> list[int]:
    here, there = source.dataset.by_tag, output.dataset.by_tag
    return [tag for tag in sorted(BULK) if tag in here or tag in there]


def is_transcoded(source: Parsed, output: Parsed) -> bool:
    """Tell whether the pixel data was written in another compression."""
    return source.syntax != output.syntax and not {source.syntax, output.syntax} <= _NATIVE


def _check_frames(
    source: Parsed, output: Parsed, before: Element, after: Element
) -> Iterator[Finding]:
    was, now = _frames(source, before), _frames(output, after)
    if _pictures(output, was) != _pictures(output, now):
        yield invalid("A frame's codestream is not the original's.")
    yield from _check_remarks(output, after)


def _pictures(output: Parsed, frames: list[bytes]) -> list[bytes | list[bytes]]:
    """Give what of the frames is the picture, without what an engine must leave out."""
    if output.syntax == _RLE:
        pixels = pixel_count(output)
        return [codestream.rle_segments(frame, pixels) or frame for frame in frames]
    return [codestream.strip(frame).rstrip(b"\0\xff") for frame in frames]


def _check_remarks(output: Parsed, after: Element) -> Iterator[Finding]:
    frames = _frames(output, after)
    if video.is_video(output.syntax):
        if any(map(video.has_user_data, frames)):
            explanation = "The video carries user data among its pictures that no check reads."
            yield invalid(explanation, Severity.HOLD)
    elif len(frames) != frame_count(output.dataset):
        yield invalid("There are more or fewer frames than Number of Frames says.")
    pixels = pixel_count(output)
    for index, frame in enumerate(frames):
        rle = output.syntax == _RLE
        if remark := codestream.rle_remarks(frame, pixels) if rle else codestream.remarks(frame):
            yield invalid(f"Frame {index + 1} carries {remark}.", Severity.LEAK)
    yield from _check_offsets(output, after)


def _frames(parsed: Parsed, element: Element) -> list[bytes]:
    """Join the fragments of each frame: a codestream's start begins a new one."""
    fragments = [
        parsed.data[start : start + length] for start, length in (element.fragments or ())[1:]
    ]
    if video.is_video(parsed.syntax):
        return [b"".join(fragments)]
    if len(fragments) == frame_count(parsed.dataset) or parsed.syntax == _RLE:
        return fragments
    frames: list[bytes] = []
    for fragment in fragments:
        starts = fragment[:2] in (codestream.JPEG_START, codestream.J2K_START)
        if starts or not frames:
            frames.append(fragment)
        else:
            frames[-1] += fragment
    return frames


def _check_offsets(output: Parsed, after: Element) -> Iterator[Finding]:
    """See that the Basic Offset Table holds offsets of fragments and nothing else (PS3.5 A.4)."""
    fragments = after.fragments or ()
    if not fragments:
        yield invalid("Encapsulated pixel data without a Basic Offset Table item.")
        return
    start, length = fragments[0]
    first = start + length
    lawful = {position - 8 - first for position, _ in fragments[1:]}
    table = memoryview(output.data[start : start + length - length % 4]).cast("I")
    if length % 4 or not lawful.issuperset(table):
        yield invalid("The Basic Offset Table points at no fragment.")
    offsets, lengths = (output.dataset.value(tag) for tag in _EXTENDED_OFFSETS)
    if offsets or lengths:
        frames = [(position - 8 - first, size) for position, size in fragments[1:]]
        told = list(zip(_numbers(offsets), _numbers(lengths), strict=False))
        true = [(at, size) for (at, size), (_, own) in zip(frames, told, strict=False)
                if own in (size, size - 1)]  # fmt: skip
        if [at for at, _ in told] != [at for at, _ in true] or len(told) != len(frames) or length:
            yield invalid("The Extended Offset Table does not tell where the frames are.")


def _numbers(value: bytes) -> list[int]:
    return list(memoryview(value[: len(value) - len(value) % 8]).cast("Q"))
