"""Pillow makes images of npx arrays and hands pixels back."""

import io

import pytest
from programs import check, library

import npx

Image = library("PIL.Image")


def pixels(np, mode):
    x = np.arange(48).reshape(4, 4, 3)
    return {
        "RGB": lambda: (x * 5).astype(np.uint8),
        "L": lambda: (x[..., 0] * 5).astype(np.uint8),
        "RGBA": lambda: np.concatenate([x, x[..., :1]], axis=2).astype(np.uint8),
        "F": lambda: x[..., 0].astype(np.float32) / 7,
        "1": lambda: x[..., 0] % 3 == 0,
        "I;16": lambda: (x[..., 0] * 1000).astype(np.uint16),
    }[mode]()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "F", "1", "I;16"])
def test_round_trip(mode):
    def program(np):
        image = Image.fromarray(pixels(np, mode))
        return image.mode, image.tobytes(), np.asarray(image), np.array(image) * 2

    check(program)


def test_views():
    def program(np):
        x = pixels(np, "RGB")
        return [Image.fromarray(part).tobytes() for part in (x[::-1], x[:, 1:3], x.transpose(1, 0, 2), x[..., ::-1])]

    check(program)


def test_editing_and_files():
    def program(np):
        image = Image.fromarray(pixels(np, "RGB")).resize((6, 5)).convert("L")
        mask = np.asarray(image) > 100
        bright = np.where(mask, 255, np.asarray(image)).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(bright).save(file, "PNG")
        file.seek(0)
        return mask, np.asarray(Image.open(file)), image.point(np.arange(256).tolist()).tobytes()

    check(program)


def test_shared_pixels():
    """`Image.frombuffer` looks into the memory of an npx array."""
    x = npx.zeros((2, 2), dtype=npx.uint8)
    image = Image.frombuffer("L", (2, 2), x, "raw", "L", 0, 1)
    x[0, 0] = 9
    assert image.getpixel((0, 0)) == 9
