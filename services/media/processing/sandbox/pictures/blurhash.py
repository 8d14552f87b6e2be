"""Encodes a picture as a BlurHash (https://blurha.sh): a few characters that clients show as a blurred placeholder."""

from functools import cache
from math import cos, pi
from typing import Any

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
EDGE = 32  # pixels: the image is shrunk to a square of this side first
ACROSS, DOWN = 4, 3  # waves
Colour = tuple[float, float, float]


def encode(image: Any) -> str:
    """The BlurHash of a Pillow image of any mode and size."""
    pixels = image.convert("RGB").resize((EDGE, EDGE)).tobytes()
    light = [_linear(byte) for byte in pixels]
    mean, *waves = (_wave(light, across, down) for down in range(DOWN) for across in range(ACROSS))
    highest = max(abs(part) for wave in waves for part in wave)
    scale = max(0, min(82, int(highest * 166 - 0.5)))
    head = _digits(ACROSS - 1 + (DOWN - 1) * 9, 1) + _digits(scale, 1) + _digits(_mean(mean), 4)
    return head + "".join(_digits(_quantize(wave, (scale + 1) / 166), 2) for wave in waves)


@cache
def _cosines(waves: int) -> list[float]:
    return [cos(pi * waves * at / EDGE) for at in range(EDGE)]


def _wave(light: list[float], across: int, down: int) -> Colour:
    sums = [0.0, 0.0, 0.0]
    for y, vertical in enumerate(_cosines(down)):
        for x, horizontal in enumerate(_cosines(across)):
            for part in range(3):
                sums[part] += vertical * horizontal * light[(y * EDGE + x) * 3 + part]
    factor = (1 if across == down == 0 else 2) / EDGE / EDGE
    return sums[0] * factor, sums[1] * factor, sums[2] * factor


@cache
def _linear(byte: int) -> float:
    value = byte / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _mean(colour: Colour) -> int:
    red, green, blue = (_srgb(part) for part in colour)
    return red << 16 | green << 8 | blue


def _srgb(light: float) -> int:
    value = max(0.0, min(1.0, light))
    return round((value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055) * 255)


def _quantize(wave: Colour, highest: float) -> int:
    number = 0
    for part in wave:
        value = part / highest
        root = abs(value) ** 0.5 * (1 if value > 0 else -1)
        number = number * 19 + max(0, min(18, int(root * 9 + 9.5)))
    return number


def _digits(number: int, length: int) -> str:
    return "".join(DIGITS[number // 83**place % 83] for place in reversed(range(length)))
