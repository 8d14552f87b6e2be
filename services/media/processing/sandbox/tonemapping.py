"""HDR pictures (ITU-R BT.2100: PQ and HLG) as SDR ones, by a table from colour to colour that FFmpeg's lut3d applies.

The wheel's FFmpeg has neither zscale nor libplacebo, and the tone mapping of its scaler darkens everything, since it
takes every picture to be as bright as PQ can be.
"""

from collections.abc import Iterator
from pathlib import Path

from services.media.processing.sandbox.sources import HLG

EDGE = 33  # samples of each of the table's three sides
WHITE = 203.0  # cd/m² of diffuse white (ITU-R BT.2408)
PEAK = 1_000.0  # cd/m² that are still told from brighter ones, as most recordings are made
KNEE = 0.6  # of diffuse white: below it nothing is changed
SDR_GAMMA = 2.4  # ITU-R BT.1886
RED, GREEN, BLUE = (1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)  # BT.2020 to 709
LUMA = (0.2627, 0.6780, 0.0593)  # of BT.2020
Colour = tuple[float, float, float]


def write(path: Path, transfer: int) -> None:
    """The table as an Adobe .cube file, of which red runs fastest."""
    light = [(_hlg if transfer == HLG else _pq)(step / (EDGE - 1)) for step in range(EDGE)]
    lines = (f"{red:.5f} {green:.5f} {blue:.5f}" for red, green, blue in _colours(light, transfer))
    path.write_text("\n".join([f"LUT_3D_SIZE {EDGE}", *lines, ""]))


def _colours(light: list[float], transfer: int) -> Iterator[Colour]:
    for blue in light:
        for green in light:
            for red in light:
                yield _map(_shine((red, green, blue)) if transfer == HLG else (red, green, blue))


def _pq(signal: float) -> float:
    """SMPTE ST 2084: light of 1 is diffuse white."""
    root = signal ** (1 / 78.84375)
    return float(10_000 / WHITE * (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125))


def _hlg(signal: float) -> float:
    """The scene's light, of which 1 is the brightest (ARIB STD-B67)."""
    if signal <= 0.5:
        return signal * signal / 3
    return float(2.718281828459045 ** ((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12


def _shine(scene: Colour) -> Colour:
    """The light of a screen of PEAK that shows a scene (the OOTF of HLG)."""
    luma = sum(part * light for part, light in zip(LUMA, scene, strict=True))
    gain = PEAK / WHITE * luma**0.2
    red, green, blue = (gain * light for light in scene)
    return red, green, blue


def _map(colour: Colour) -> Colour:
    brightest = max(*colour, 1e-6)
    gain = _roll_off(brightest) / brightest  # of all three alike, so that the hue stays
    red, green, blue = (
        max(sum(part * light * gain for part, light in zip(row, colour, strict=True)), 0.0)
        for row in (RED, GREEN, BLUE)
    )
    return _encode(red), _encode(green), _encode(blue)


def _encode(light: float) -> float:
    return float(min(light, 1.0) ** (1 / SDR_GAMMA))


def _roll_off(light: float) -> float:
    """Möbius' curve: straight up to KNEE, 1 at PEAK."""
    peak = PEAK / WHITE
    if light <= KNEE:
        return light
    a = -KNEE * KNEE * (peak - 1) / (KNEE * KNEE - 2 * KNEE + peak)
    b = (KNEE * KNEE - 2 * KNEE * peak + peak) / (peak - 1)
    return min((b * b + 2 * b * KNEE + KNEE * KNEE) / (b - a) * (light + a) / (light + b), 1.0)
