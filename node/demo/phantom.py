"""Pictures for the demo, drawn from ellipses: nobody's body."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: One image: rows x columns, uint16, 12 bits used.
Pixels = npt.NDArray[np.uint16]

#: Letters of 5 columns by 7 rows; each digit pair is a row's bits.
FONT = {
    "A": "0e11111f111111", "B": "1e11111e11111e", "D": "1e11111111111e", "E": "1f10101e10101f",
    "H": "1111111f111111", "I": "0e04040404040e", "L": "1010101010101f", "N": "11191513111111",
    "O": "0e11111111110e", "R": "1e11111e141211", "S": "0f10100e01011e", "T": "1f040404040404",
    "W": "1111111515150a", "Y": "11110a04040404", " ": "00000000000000",
}  # fmt: skip


def chest(slices: int, size: int) -> list[Pixels]:
    """Draw a chest in Hounsfield units + 1024: body, lungs, heart, spine, ribs of a kind."""
    images = []
    for z in np.linspace(-1, 1, slices):
        image = _air(size)
        lung = float(np.sqrt(max(0.0, 1 - z * z)))
        _ellipse(image, (0, 0), (0.85, 0.6), 1064)
        _ellipse(image, (0, 0), (0.8, 0.55), 1000)
        _ellipse(image, (-0.38, -0.02), (0.3 * lung, 0.42 * lung), 180)
        _ellipse(image, (0.38, -0.02), (0.3 * lung, 0.42 * lung), 180)
        _ellipse(image, (0.1, -0.1 + 0.1 * float(z)), (0.24 * lung, 0.26 * lung), 1080)
        _ellipse(image, (0, 0.4), (0.1, 0.1), 1500)
        images.append(_grain(image, 12))
    return images


def head(slices: int, size: int) -> list[Pixels]:
    """Draw a head in arbitrary MR units: scalp, skull, brain, ventricles."""
    images = []
    for z in np.linspace(-0.9, 0.9, slices):
        image = np.zeros((size, size), np.float32)
        r = float(np.sqrt(1 - z * z))
        _ellipse(image, (0, 0), (0.62 * r, 0.8 * r), 900)
        _ellipse(image, (0, 0), (0.58 * r, 0.76 * r), 80)
        _ellipse(image, (0, 0), (0.54 * r, 0.72 * r), 520)
        _ellipse(image, (0, 0), (0.42 * r, 0.6 * r), 640)
        if r > 0.6:  # noqa: PLR2004 -- ventricles end before the top of the head
            _ellipse(image, (-0.1, 0), (0.06, 0.25 * r), 1100)
            _ellipse(image, (0.1, 0), (0.06, 0.25 * r), 1100)
        images.append(_grain(image, 20))
    return images


def screenshot(size: int, text: str) -> list[Pixels]:
    """Draw what must not leave: an image with a name in its pixels."""
    image = np.full((size, size), 300, np.float32)
    _ellipse(image, (0, 0.1), (0.5, 0.6), 1200)
    _write(image, text, row=24, column=24, scale=4)
    return [_grain(image, 5)]


def _air(size: int) -> npt.NDArray[np.float32]:
    return np.zeros((size, size), np.float32)


def _ellipse(
    image: npt.NDArray[np.float32],
    centre: tuple[float, float],
    radii: tuple[float, float],
    value: float,
) -> None:
    """Fill an ellipse; centre and radii are in halves of the image, x before y."""
    size = image.shape[0]
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    if min(radii) > 0:
        inside = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 < 1
        image[inside] = value


def _write(image: npt.NDArray[np.float32], text: str, row: int, column: int, scale: int) -> None:
    for letter in text:
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(FONT[letter]), np.uint8)[:, None], axis=1)
        glyph = np.kron(bits[:, 3:], np.ones((scale, scale), np.uint8)).astype(bool)
        image[row : row + glyph.shape[0], column : column + glyph.shape[1]][glyph] = 4095
        column += 6 * scale


def _grain(image: npt.NDArray[np.float32], deviation: float) -> Pixels:
    noise = np.random.default_rng(7).normal(0, deviation, image.shape)
    return np.clip(image + noise, 0, 4095).astype(np.uint16)
