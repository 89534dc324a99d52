"""JPEG: every colour form against what was encoded, the reduced scale against the whole way, and headers that lie."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.imaging.formats.jpeg import read_jpeg
from radlens.imaging.formats.stored import Stored
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits, RefusedError

HEIGHT, WIDTH = 40, 56


def smooth() -> npt.NDArray[np.uint8]:
    """No two rows, columns or mirror images are alike, and nothing that JPEG would lose."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    return (20 + rows * 2 + columns * 1.5 + rows * columns / 50).astype(np.uint8)


def colour() -> npt.NDArray[np.uint8]:
    return np.stack([smooth(), 255 - smooth(), np.flipud(smooth())], axis=2)


def encoded(pixels: npt.NDArray[np.uint8] | Image.Image, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **{"quality": 95, "subsampling": 0, **options})
    return buffer.getvalue()


def read(content: bytes, **options: Any) -> Stored:
    return read_jpeg(content, DEFAULT_LIMITS, **options)


def pixels_of(stored: Stored) -> npt.NDArray[np.uint8]:
    assert isinstance(stored.pixels, Image.Image)
    return np.asarray(stored.pixels)


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def with_segments(content: bytes, *segments: bytes) -> bytes:
    return content[:2] + b"".join(segments) + content[2:]


def frame_at(content: bytes) -> int:
    """Where the frame header's precision stands."""
    return next(content.index(bytes([0xFF, marker])) for marker in (0xC0, 0xC2) if bytes([0xFF, marker]) in content) + 4


@pytest.mark.parametrize(
    ("options", "compression"),
    [({}, "baseline"), ({"progressive": True}, "progressive"), ({"optimize": True}, "baseline")],
)
def test_grey_and_colour_come_through(options: dict[str, bool], compression: str) -> None:
    stored = read(encoded(smooth(), **options))
    assert (stored.mode, stored.compression, stored.width, stored.height) == ("L", compression, WIDTH, HEIGHT)
    np.testing.assert_allclose(pixels_of(stored).astype(int), smooth(), atol=3)
    stored = read(encoded(colour(), **options))
    assert (stored.mode, stored.compression) == ("RGB", compression)
    np.testing.assert_allclose(pixels_of(stored).astype(int), colour(), atol=6)


def test_progressive_holds_the_same_pixels_as_baseline() -> None:
    np.testing.assert_array_equal(
        pixels_of(read(encoded(colour(), progressive=True))), pixels_of(read(encoded(colour())))
    )


def ink(seed: int = 0) -> npt.NDArray[np.uint8]:
    """Cyan, magenta, yellow and black, smooth, 255 being full ink."""
    return np.stack([smooth(), 255 - smooth(), np.fliplr(smooth()), smooth() // 3], axis=2)


def test_cmyk_is_stored_inverted_as_adobe_does() -> None:
    content = encoded(Image.fromarray(ink(), "CMYK"))
    assert b"Adobe" in content
    stored = read(content)
    assert stored.mode == "CMYK"
    np.testing.assert_allclose(pixels_of(stored).astype(int), ink(), atol=6)
    # What stands in the file is 255 less the ink: without the marker's help a reader would see the negative.
    black = read(encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 255))))
    assert pixels_of(black)[..., 3].min() >= 253


def test_ycck_is_turned_into_inks() -> None:
    # Adobe stores 255 less the inks; as light that is the inks again, whose Y, Cb and Cr stand in the file. The encoder
    # inverts what it is given.
    light = Image.fromarray(np.ascontiguousarray(ink()[..., :3])).convert("YCbCr")
    given = np.dstack([255 - np.asarray(light), ink()[..., 3]]).astype(np.uint8)
    content = encoded(Image.fromarray(given, "CMYK"), quality=98)
    transform = content.index(b"Adobe") + 11
    assert content[transform] == 0
    content = content[:transform] + b"\x02" + content[transform + 1 :]
    stored = read(content)
    assert stored.mode == "CMYK"
    np.testing.assert_allclose(pixels_of(stored).astype(int), ink(), atol=8)


def test_brightness_alone_is_that_of_the_colours() -> None:
    stored = read(encoded(colour()), grey=True)
    assert stored.mode == "RGB", "the facts are of the file"
    found = pixels_of(stored)
    assert found.shape == (HEIGHT, WIDTH)
    wanted = np.asarray(Image.fromarray(colour()).convert("L")).astype(int)
    np.testing.assert_allclose(found.astype(int), wanted, atol=4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", [b"II*\0", b"MM\0*"])
def test_the_orientation_is_read_in_both_byte_orders(orientation: int, order: bytes) -> None:
    mark = "<" if order[:1] == b"I" else ">"
    exif = b"Exif\0\0" + order + struct.pack(f"{mark}IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)
    assert read(with_segments(encoded(smooth()), segment(0xE1, exif))).orientation == orientation


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"nonsense",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*" + struct.pack(">IH", 8, 65535),
        b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, 9, 0, 0),
        b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 2, 1, 6, 0, 0),
        b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 2**31, 6, 0, 0),
        b"MM\0*" + struct.pack(">IHHHII", 8, 1, 0x11A, 5, 0xFFFFFF, 0xFFFFFFF0),
    ],
)
def test_a_damaged_exif_does_not_reject_a_good_picture(exif: bytes, recwarn: pytest.WarningsRecorder) -> None:
    stored = read(with_segments(encoded(smooth()), segment(0xE1, b"Exif\0\0" + exif)))
    assert stored.orientation == 1
    np.testing.assert_array_equal(pixels_of(stored), pixels_of(read(encoded(smooth()))))
    assert not recwarn.list, "a damaged EXIF is nobody's concern"


@pytest.mark.parametrize("size", [(800, 600), (801, 601), (863, 647)])
@pytest.mark.parametrize(("target", "scale"), [((60, 40), 8), ((100, 60), 4), ((150, 150), 2), ((400, 400), 1)])
def test_the_scale_leaves_nine_eighths_of_what_is_wanted(
    size: tuple[int, int], target: tuple[int, int], scale: int
) -> None:
    content = encoded(np.asarray(Image.fromarray(smooth()).resize(size)))
    stored = read(content, reduction=lambda _: target)
    assert stored.scale == scale
    assert pixels_of(stored).shape == (-(-size[1] // scale), -(-size[0] // scale))
    assert (stored.width, stored.height) == size
    assert min(size[0] / target[0], size[1] / target[1]) >= 1.125 * scale or scale == 1
    assert min(size[0] / target[0], size[1] / target[1]) < 2.25 * scale


def test_the_reduction_is_asked_about_the_upright_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(np.asarray(Image.fromarray(smooth()).resize((800, 200))), exif=exif)
    asked = []

    def reduction(size: tuple[int, int]) -> tuple[int, int]:
        asked.append(size)
        return 20, 100

    assert read(content, reduction=reduction).scale == 4
    assert asked == [(200, 800)]


@pytest.mark.parametrize("side", [1, 2, 3, 7, 9])
def test_tiny_pictures_survive_any_reduction(side: int) -> None:
    content = encoded(np.full((side, 300), 77, dtype=np.uint8))
    stored = read(content, reduction=lambda _: (1, 1))
    assert pixels_of(stored).size > 0
    np.testing.assert_allclose(pixels_of(stored).astype(int), 77, atol=2)


def test_colour_profiles_comments_and_strange_application_data_do_not_matter() -> None:
    profile = segment(0xE2, b"ICC_PROFILE\0\x01\x02" + b"broken" * 100)
    noise = [segment(marker, b"MPF\0http://ns.adobe.com/xap/1.0/\0Photoshop 3.0\0" * 3) for marker in range(0xE1, 0xEE)]
    content = with_segments(encoded(colour()), profile, *noise, segment(0xFE, b"a comment"), b"\xff\xff\xff")
    np.testing.assert_array_equal(pixels_of(read(content)), pixels_of(read(encoded(colour()))))


def test_what_follows_the_picture_does_not_matter() -> None:
    content = encoded(smooth())
    np.testing.assert_array_equal(pixels_of(read(content + b"trailing" * 50)), pixels_of(read(content)))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_picture_cut_short_is_refused_and_never_half_grey(progressive: bool) -> None:
    rng = np.random.default_rng(0)
    content = encoded(rng.integers(0, 256, (64, 64), dtype=np.uint8), progressive=progressive)
    for tenth in range(1, 10):
        with pytest.raises(RefusedError):
            read(content[: len(content) * tenth // 10])


@pytest.mark.parametrize(
    ("width", "height", "message"),
    [
        (0, 10, "0 x 10 pixels"),
        (10, 0, "10 x 0 pixels"),
        (65535, 65535, "at most 100,000,000 are opened"),
        (9000, 9000, "cut short"),
    ],
)
def test_absurd_dimensions_are_refused_before_pixels_are_decoded(
    monkeypatch: pytest.MonkeyPatch, width: int, height: int, message: str
) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("pixels were decoded"))
    content = encoded(smooth())
    place = frame_at(content)
    content = content[: place + 1] + struct.pack(">HH", height, width) + content[place + 5 :]
    with pytest.raises(RefusedError, match=message):
        read(content)


def test_a_progressive_picture_is_held_to_what_its_coefficients_take() -> None:
    limits = DecodeLimits(max_inflated=2 * HEIGHT * WIDTH)
    read_jpeg(encoded(smooth()), limits)
    with pytest.raises(RefusedError, match="max_inflated"):
        read_jpeg(encoded(smooth(), progressive=True), limits)


def test_a_progressive_picture_of_endless_scans_is_refused() -> None:
    content = encoded(smooth(), progressive=True)
    with pytest.raises(RefusedError, match="more than 100 scans"):
        read(content[:-2] + segment(0xDA, b"\x01\x01\x00\x00\x00\x00") * 101)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xd8\xff", "cut short"),
        (b"\xff\xd8\xff\xd9", "holds no pixels"),
        (b"\xff\xd8" + b"\xff" * 3_000_000, "cut short"),
        (b"\xff\xd8\xff\xe0\x00\x01", "cut short"),
        (b"\xff\xd8" + segment(0xE1, b"x") * 5000, "more than 4096 segments"),
        (b"\xff\xd8" + segment(0xDA, b"x"), "does not say how large"),
        (b"\xff\xd8" + segment(0xF7, b"\x08\x00\x10\x00\x10\x01\x01\x11\x00"), "JPEG-LS"),
    ],
)
def test_headers_that_are_none_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("offset", "value", "message"), [(0, 12, "12 bits a sample"), (5, 2, "2 components"), (5, 9, "9 components")]
)
def test_forms_that_are_not_read_are_named(offset: int, value: int, message: str) -> None:
    content = bytearray(encoded(smooth()))
    content[frame_at(bytes(content)) + offset] = value
    with pytest.raises(RefusedError, match=message):
        read(bytes(content))


def test_differential_and_doubled_frames_are_refused() -> None:
    content = encoded(smooth())
    place = frame_at(content)
    with pytest.raises(RefusedError, match="SOF5"):
        read(content[: place - 3] + b"\xc5" + content[place - 2 :])
    frame = content[place - 4 : place - 2 + struct.unpack_from(">H", content, place - 2)[0]]
    with pytest.raises(RefusedError, match="two pictures"):
        read(content[: place - 4] + frame + content[place - 4 :])


def test_lossless_jpeg_is_decoded_to_the_last_bit_whatever_is_wanted_of_it() -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.data import get_testdata_file
    from pydicom.encaps import generate_frames

    header = pydicom.dcmread(get_testdata_file("SC_rgb_jpeg_gdcm.dcm"))
    same_picture = pydicom.dcmread(get_testdata_file("SC_rgb_rle.dcm")).pixel_array
    frame = next(generate_frames(header.PixelData, number_of_frames=1))
    stored = read(frame, reduction=lambda _: (8, 8))
    assert (stored.compression, stored.scale) == ("lossless", 1)
    np.testing.assert_array_equal(pixels_of(stored), same_picture)
    np.testing.assert_array_equal(pixels_of(read(frame, grey=True)), same_picture)
