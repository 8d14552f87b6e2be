"""Converts HDR frames (ITU-R BT.2100: PQ and HLG) to SDR, by a colour table for FFmpeg's lut3d filter.

The FFmpeg of the wheel has neither zscale nor libplacebo. The tone mapping of its scaler makes all pictures too dark,
because it assumes that each is as bright as PQ allows.
"""

from collections.abc import Iterator
from pathlib import Path

from services.media.processing.sandbox.sources import HLG

EDGE = 33  # samples along each side of the table
WHITE = 203.0  # cd/m² of diffuse white (ITU-R BT.2408)
PEAK = 1_000.0  # cd/m²: brighter light is clipped; most recordings are mastered to this
KNEE = 0.6  # of diffuse white: below it nothing is changed
SDR_GAMMA = 2.4  # ITU-R BT.1886
RED, GREEN, BLUE = (1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)  # BT.2020 to 709
LUMA = (0.2627, 0.6780, 0.0593)  # of BT.2020
Colour = tuple[float, float, float]


def write(path: Path, transfer: int) -> None:
    """Writes the table as an Adobe .cube file, in which red varies fastest."""
    light = [(_hlg if transfer == HLG else _pq)(step / (EDGE - 1)) for step in range(EDGE)]
    lines = (f"{red:.5f} {green:.5f} {blue:.5f}" for red, green, blue in _colours(light, transfer))
    path.write_text("\n".join([f"LUT_3D_SIZE {EDGE}", *lines, ""]))


def _colours(light: list[float], transfer: int) -> Iterator[Colour]:
    for blue in light:
        for green in light:
            for red in light:
                yield _map(_shine((red, green, blue)) if transfer == HLG else (red, green, blue))


def _pq(signal: float) -> float:
    """The light of a PQ signal (SMPTE ST 2084); 1 is diffuse white."""
    root = signal ** (1 / 78.84375)
    return float(10_000 / WHITE * (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125))


def _hlg(signal: float) -> float:
    """The scene light of an HLG signal (ARIB STD-B67); 1 is the brightest."""
    if signal <= 0.5:
        return signal * signal / 3
    return float(2.718281828459045 ** ((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12


def _shine(scene: Colour) -> Colour:
    """The display light of a scene on a screen of PEAK (the OOTF of HLG)."""
    luma = sum(part * light for part, light in zip(LUMA, scene, strict=True))
    gain = PEAK / WHITE * luma**0.2
    red, green, blue = (gain * light for light in scene)
    return red, green, blue


def _map(colour: Colour) -> Colour:
    brightest = max(*colour, 1e-6)
    gain = _roll_off(brightest) / brightest  # the same gain for all three, so that the hue stays
    red, green, blue = (
        max(sum(part * light * gain for part, light in zip(row, colour, strict=True)), 0.0)
        for row in (RED, GREEN, BLUE)
    )
    return _encode(red), _encode(green), _encode(blue)


def _encode(light: float) -> float:
    return float(min(light, 1.0) ** (1 / SDR_GAMMA))


def _roll_off(light: float) -> float:
    """A Möbius curve: linear up to KNEE, 1 at PEAK."""
    peak = PEAK / WHITE
    if light <= KNEE:
        return light
    a = -KNEE * KNEE * (peak - 1) / (KNEE * KNEE - 2 * KNEE + peak)
    b = (KNEE * KNEE - 2 * KNEE * peak + peak) / (peak - 1)
    return min((b * b + 2 * b * KNEE + KNEE * KNEE) / (b - a) * (light + a) / (light + b), 1.0)
