"""Every kind of image file is decoded to pixels that were worked out by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pictures import colour, encoded, grey, pixels
from PIL import Image

from sparring.data.decode import UnreadableImageError, convert, decode, from_array, readable

ROW = [0, 1, 127, 128, 254, 255]


def shades(mode: str = "L") -> Image.Image:
    return Image.fromarray(pixels(ROW, ROW[::-1])).convert(mode)


def decoded(image: Image.Image, kind: str = "png", channels: int | None = None, size: int | None = None, **options):
    return decode(encoded(image, kind, **options), channels, size)


def test_grey_keeps_its_levels_and_is_repeated_for_three_channels():
    levels = np.array([ROW, ROW[::-1]])
    for channels, expected in (
        (1, levels[..., None]),
        (3, np.stack([levels] * 3, 2)),
        (None, np.stack([levels] * 3, 2)),
    ):
        found, in_colour = decoded(shades(), channels=channels)
        assert found.dtype == np.uint8 and not in_colour
        np.testing.assert_array_equal(found, expected)


def test_colour_keeps_its_levels_and_becomes_itu_r_601_luma():
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 200, 30]]], dtype=np.uint8))
    found, in_colour = decoded(image)
    assert in_colour
    np.testing.assert_array_equal(found, np.asarray(image))
    # (299 R + 587 G + 114 B) / 1000: 76.2, 149.7, 29.1, and 2.99 + 117.4 + 3.42 = 123.8
    assert decoded(image, channels=1)[0][0, :, 0].tolist() == [76, 150, 29, 124]


def test_grey_stored_as_rgb_counts_as_colour():
    assert decoded(shades("RGB"))[1]


def test_a_palette_gives_its_colours():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([1, 0])
    found, in_colour = decoded(image)
    assert found.tolist() == [[[200, 100, 0], [10, 20, 30]]] and in_colour


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_transparent_entries_of_a_palette_show_white(transparency):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([1, 0])
    found, _ = decoded(image, transparency=transparency)
    assert found.tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_rgba_lies_over_white():
    # opaque, invisible, a fifth: 255 - (255 - v) / 5
    levels = [[[100, 0, 200, 255], [100, 0, 200, 0], [100, 0, 200, 51]]]
    found, in_colour = decoded(Image.fromarray(np.array(levels, dtype=np.uint8)))
    assert found.tolist() == [[[100, 0, 200], [255, 255, 255], [224, 204, 244]]] and in_colour


def test_grey_with_alpha_lies_over_white_and_stays_grey():
    image = Image.new("LA", (3, 1))
    image.putdata([(100, 255), (100, 0), (100, 51)])
    found, in_colour = decoded(image, channels=1)
    assert found[0, :, 0].tolist() == [100, 255, 224] and not in_colour


def test_a_transparent_level_of_grey_shows_white():
    image = Image.fromarray(pixels([7, 90]))
    found, in_colour = decoded(image, channels=1, transparency=7)
    assert found[0, :, 0].tolist() == [255, 90] and not in_colour
    assert decoded(colour(1, 2, 3, size=(1, 1)), transparency=(1, 2, 3))[0].tolist() == [[[255, 255, 255]]]


def test_sixteen_bits_become_the_nearest_of_eight():
    values = [0, 128, 129, 257, 1000, 32767, 65407, 65535]  # v / 257: 0, 0.498, 0.502, 1, 3.89, 127.498, 254.5, 255
    image = Image.fromarray(np.array([values], dtype=np.uint16))
    for kind in ("png", "tiff"):
        found, in_colour = decoded(image, kind, channels=1)
        assert found[0, :, 0].tolist() == [0, 0, 1, 1, 4, 127, 255, 255] and not in_colour
    assert decoded(image)[0][0, 4].tolist() == [4, 4, 4]
    wide = Image.fromarray(np.array([[0, 65535]], dtype=np.int32))  # Pillow's older mode for 16-bit grey
    assert convert(wide, 1, None)[0][0, :, 0].tolist() == [0, 255]


def test_pixels_without_a_known_range_are_refused():
    with pytest.raises(ValueError, match="grey levels from 0 to 65536; 0 to 65535 are allowed"):
        decoded(Image.fromarray(np.array([[0, 65536]], dtype=np.int32)), "tiff")
    with pytest.raises(ValueError, match="floating-point pixels have no known range"):
        decoded(Image.fromarray(np.array([[0.5]], dtype=np.float32)), "tiff")


def test_black_and_white_is_0_and_255():
    image = Image.fromarray(np.array([[True, False]]))
    found, in_colour = decoded(image, channels=1)
    assert found[0, :, 0].tolist() == [255, 0] and not in_colour


def test_cmyk_becomes_rgb():
    image = Image.new("CMYK", (2, 1))
    image.putdata([(0, 255, 255, 0), (0, 0, 0, 255)])  # no cyan, no black: red; all black
    found, in_colour = decoded(image, "tiff")
    assert found.tolist() == [[[255, 0, 0], [0, 0, 0]]] and in_colour


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "RGBa", "La", "PA", "LAB"])
def test_rarer_modes_become_grey_or_rgb(mode):
    source = {"La": "LA", "PA": "P", "RGBa": "RGBA", "LAB": "LAB"}.get(mode, "RGB")
    found, in_colour = convert(Image.new(source, (1, 1)).convert(mode), None, None)
    assert found.shape == (1, 1, 3) and in_colour == (mode != "La")


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "webp"])
def test_exif_orientation_is_applied(kind):
    image = Image.new("RGB", (16, 8), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 8, 8))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise: the left moves to the top
    found, _ = decode(encoded(image, kind, exif=exif.tobytes()), 1, None)
    assert found.shape == (16, 8, 1)
    assert found[:8].min() > 240 and found[8:].max() < 15


def test_only_the_first_frame_of_an_animation_is_used():
    data = encoded(grey(10), "gif", save_all=True, append_images=[grey(20), grey(30)])
    assert decode(data, 1, None)[0].ravel().tolist() == [10] * 4


def test_resizing_crops_the_central_square():
    image = Image.fromarray(np.array([[10, 20, 20, 40, 50]] * 2, dtype=np.uint8))  # 5 wide, 2 high: columns 1 and 2
    assert decoded(image, channels=1, size=4)[0].ravel().tolist() == [20] * 16
    assert decoded(image.transpose(Image.Transpose.ROTATE_270), channels=1, size=1)[0].ravel().tolist() == [20]


def test_shrinking_is_antialiased():
    stripes = Image.fromarray(np.tile(pixels([0, 255]), (32, 16)))
    found = decoded(stripes, channels=1, size=8)[0][2:6, 2:6]
    assert found.min() > 120 and found.max() < 135  # picking pixels would give 0 or 255


def test_the_filter_is_lanczos():
    step = np.repeat(pixels([0] * 8 + [200] * 8), 16, axis=0)
    found = decoded(Image.fromarray(step), channels=1, size=8)[0][4, :, 0].astype(int)
    assert found.max() > 200 and found[0] == 0  # it overshoots at an edge, unlike box and bilinear filters
    expected = Image.fromarray(step).resize((8, 8), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(found, np.asarray(expected)[4])


def test_an_image_of_the_target_size_keeps_its_pixels():
    checks = np.indices((4, 4)).sum(0) % 2 * 255
    image = Image.fromarray(checks.astype(np.uint8))
    np.testing.assert_array_equal(decoded(image, channels=1, size=4)[0][..., 0], checks)


def test_arrays_are_converted_the_same_way():
    assert from_array(np.array([[[100], [3]]], dtype=np.uint8), 3, None)[0].tolist() == [[[100] * 3, [3] * 3]]
    rgba = np.array([[[100, 0, 200, 51]]], dtype=np.uint8)
    assert from_array(rgba, None, None)[0].tolist() == [[[224, 204, 244]]]
    view = np.arange(12, dtype=np.uint8).reshape(2, 2, 3).transpose(1, 0, 2)  # not contiguous
    np.testing.assert_array_equal(from_array(view, None, None)[0], view)


def test_a_failure_names_the_image_in_one_line():
    with pytest.raises(UnreadableImageError, match=r"cannot read image 'a\.png': its format is not one of PNG, JPEG, "):
        readable("a.png", lambda: decode(b"text", None, None))
    whole = encoded(Image.effect_noise((64, 64), 50))
    with pytest.raises(UnreadableImageError, match=r"'b\.png': .*truncated") as caught:
        readable("b.png", lambda: decode(whole[: len(whole) // 2], None, None))
    assert "\n" not in str(caught.value)

    def multi_line():
        raise RuntimeError("two\nlines")

    with pytest.raises(UnreadableImageError, match=r"'c': two lines$"):
        readable("c", multi_line)


def test_running_out_of_memory_is_not_a_bad_image():
    def hungry():
        raise MemoryError

    with pytest.raises(MemoryError):
        readable("a.png", hungry)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # `load` does this for all of its images
@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0\0\0\x08\0\x05junk", b"Exif\0\0no TIFF at all", b"Exif\0\0"])
def test_a_damaged_exif_block_does_no_harm(exif):
    data = encoded(grey(90, (16, 8)), "jpeg", exif=exif)
    assert Image.open(io.BytesIO(data)).info["exif"]
    assert abs(decode(data, 1, None)[0].astype(int) - 90).max() <= 1
