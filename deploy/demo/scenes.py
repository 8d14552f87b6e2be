"""The animated scenes of the demo's videos. A seed defines a scene, which can then be drawn at any second."""

from collections.abc import Callable
from math import cos, pi, sin
from random import Random

from PIL import Image, ImageDraw

Scene = Callable[[Image.Image, float], None]
Colour = tuple[int, int, int]

PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((255, 209, 102), (239, 71, 111), (17, 138, 178), (7, 59, 76), (6, 214, 160)),
    ((244, 162, 97), (231, 111, 81), (42, 157, 143), (38, 70, 83), (233, 196, 106)),
    ((255, 183, 3), (251, 133, 0), (33, 158, 188), (2, 48, 71), (142, 202, 230)),
    ((247, 37, 133), (114, 9, 183), (67, 97, 238), (58, 12, 163), (76, 201, 240)),
    ((254, 250, 224), (221, 161, 94), (96, 108, 56), (40, 54, 24), (188, 108, 37)),
)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def paint_sky(picture: Image.Image, top: Colour, bottom: Colour) -> None:
    strip = Image.new("RGB", (1, 2))
    strip.putpixel((0, 0), top)
    strip.putpixel((0, 1), bottom)
    picture.paste(strip.resize(picture.size, Image.Resampling.BILINEAR))


def draw_disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def make_hills(random: Random, width: int, height: int) -> Scene:
    """A sun that rises behind hills, the near ones faster than the far."""
    light, warm, cool, dark, _ = random.choice(PALETTES)
    hills = [(random.uniform(0, 2 * pi), random.uniform(0.7, 1.6)) for _ in range(5)]
    sun_x = width * random.uniform(0.25, 0.75)

    def draw(picture: Image.Image, second: float) -> None:
        paint_sky(picture, mix(cool, warm, 0.25), light)
        pen = ImageDraw.Draw(picture)
        draw_disc(
            pen, sun_x, height * (0.55 - 0.06 * second), min(width, height) * 0.14, mix(light, (255, 255, 255), 0.6)
        )
        for number, (phase, length) in enumerate(hills):
            near = (number + 1) / len(hills)
            shift, level = phase + second * near * 1.6, height * (0.45 + 0.11 * number)
            ridge = [
                (
                    x,
                    level
                    + height * 0.06 * (sin(shift + x / width * 2 * pi * length) + 0.4 * sin(2.3 * shift + x / 70)),
                )
                for x in range(0, width + 16, 16)
            ]
            pen.polygon([(0, height), *ridge, (width, height)], fill=mix(cool, dark, near))

    return draw


def make_orbits(random: Random, width: int, height: int) -> Scene:
    """Planets on their ways round a star, each with a tail."""
    light, warm, cool, dark, fresh = random.choice(PALETTES)
    colours = (warm, cool, fresh, light)
    planets = [
        (
            0.09 + 0.045 * number,
            random.uniform(0, 2 * pi),
            random.choice((-1, 1)) * random.uniform(0.5, 1.8),
            colours[number % 4],
        )
        for number in range(8)
    ]
    size = min(width, height)

    def draw(picture: Image.Image, second: float) -> None:
        paint_sky(picture, mix(dark, (0, 0, 0), 0.6), dark)
        pen = ImageDraw.Draw(picture)
        draw_disc(pen, width / 2, height / 2, size * (0.06 + 0.006 * sin(4 * second)), mix(light, (255, 255, 255), 0.4))
        for distance, phase, speed, colour in planets:
            for tail in range(14, -1, -1):
                angle = phase + speed * (second - tail * 0.05)
                x = width / 2 + cos(angle) * distance * width
                y = height / 2 + sin(angle) * distance * height
                draw_disc(pen, x, y, size * 0.026 * (1 - tail / 16), mix(colour, dark, tail / 15))

    return draw


def make_lanterns(random: Random, width: int, height: int) -> Scene:
    """Lanterns that rise over water, and swing a little."""
    light, warm, cool, dark, fresh = random.choice(PALETTES)
    lanterns = [
        (random.random(), random.random(), random.uniform(0.5, 1.4), random.choice((light, warm, fresh)))
        for _ in range(32)
    ]
    size = min(width, height)

    def draw(picture: Image.Image, second: float) -> None:
        paint_sky(picture, mix(dark, (0, 0, 0), 0.5), mix(cool, dark, 0.3))
        pen = ImageDraw.Draw(picture)
        for x, y, near, colour in sorted(lanterns, key=lambda lantern: lantern[2]):
            swing = sin(second * 1.5 + x * 20) * 0.02
            rise = (y - second * 0.09 * near) % 1.2 - 0.1
            radius = size * 0.035 * near
            draw_disc(pen, (x + swing) * width, rise * height, radius * 1.5, mix(colour, dark, 0.7))
            draw_disc(pen, (x + swing) * width, rise * height, radius, colour)

    return draw


def make_tiles(random: Random, width: int, height: int) -> Scene:
    """A floor of tiles that turn in a wave."""
    light, warm, cool, dark, fresh = random.choice(PALETTES)
    side = min(width, height) // 6
    origin = (random.uniform(0, width), random.uniform(0, height))
    places = [(x, y) for x in range(0, width + side, side) for y in range(0, height + side, side)]
    colours = {place: random.choice((light, warm, fresh, cool)) for place in places}

    def draw(picture: Image.Image, second: float) -> None:
        picture.paste(dark, (0, 0, *picture.size))
        pen = ImageDraw.Draw(picture)
        for x, y in places:
            away = ((x - origin[0]) ** 2 + (y - origin[1]) ** 2) ** 0.5 / (6 * side)
            turn = second * 1.2 - away
            reach = side * (0.42 + 0.2 * sin(turn * 2))
            corners = [(x + cos(turn + n * pi / 2) * reach, y + sin(turn + n * pi / 2) * reach) for n in range(4)]
            pen.polygon(corners, fill=colours[x, y])

    return draw


SCENES: dict[str, Callable[[Random, int, int], Scene]] = {
    "hills": make_hills,
    "orbits": make_orbits,
    "lanterns": make_lanterns,
    "tiles": make_tiles,
}
