"""An instance's variants: one more file for each syntax that a destination needs it in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import UID

from node.pixels.syntaxes import EXPLICIT_LITTLE, candidates, why_none
from node.pixels.transcode import CannotTranscode, transcode

#: What one destination takes, the best first: its `syntaxes`.
Wish = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MadeVariant:
    """A file that was written beside the instance's own."""

    path: Path
    syntax: str


def variant_path(path: Path, syntax: str) -> Path:
    """Name the variant of a file."""
    return path.with_name(f"{path.stem}_{syntax}{path.suffix}")


def make_variants(path: Path, own: str, wishes: Iterable[Wish]) -> tuple[MadeVariant, ...]:
    """Write what the destinations need of the file at `path`, whose transfer syntax is `own`.

    Raises
    ------
    CannotTranscode
        If a destination can be given nothing that it takes; the text names the cure. Files that
        were made for others stay: the caller removes them with the instance's own.
    """
    made: dict[str, MadeVariant] = {}
    for wished in dict.fromkeys(wishes):
        if wished and own not in wished and made.keys().isdisjoint(candidates(own, wished)[:1]):
            variant = _first_that_fits(path, own, wished, made)
            made[variant.syntax] = variant
    return tuple(made.values())


def remove_variants(path: Path) -> None:
    """Remove every variant of the file at `path`, also what a killed worker left of one."""
    for variant in path.parent.glob(f"{path.stem}_*{path.suffix}"):
        variant.unlink()


def _first_that_fits(
    path: Path, own: str, wished: Sequence[str], made: dict[str, MadeVariant]
) -> MadeVariant:
    reasons = []
    for syntax in candidates(own, wished):
        if syntax in made:
            return made[syntax]
        variant = MadeVariant(variant_path(path, syntax), syntax)
        try:
            transcode(path, variant.path, syntax)
        except CannotTranscode as reason:
            reasons.append(f"not to {UID(syntax).name}: {reason}")
        else:
            return variant
    raise CannotTranscode(_explain(own, wished, reasons))


def _explain(own: str, wished: Sequence[str], reasons: Sequence[str]) -> str:
    why = "; ".join(reasons) or why_none(own, wished)
    cures = [f"its own ({own})"]
    if EXPLICIT_LITTLE not in (own, *wished):
        cures.append(f"Explicit VR Little Endian ({EXPLICIT_LITTLE})")
    return (
        f"an instance cannot be transcoded for a destination: {why}. If the destination takes "
        f"{' or '.join(cures)}, add it to the destination's syntaxes, start process again and "
        "requeue the study; or exclude the instance"
    )
