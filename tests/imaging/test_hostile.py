"""Hostile files: each is refused with a reason or comes out as the right picture; nothing else escapes, none hangs."""

from __future__ import annotations

import base64
import io
import os
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from radlens.imaging.decode import Decoded, DecodeError, decode
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing

HEIGHT, WIDTH = 48, 64
CONTRACT = Preprocessing(height=16, width=16)


def noise(channels: int = 1, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Incompressible, so that a file cut short lacks pixels."""
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image | npt.NDArray[Any], form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, form, **options)
    return buffer.getvalue()


def dicom(syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    pydicom = pytest.importorskip("pydicom")
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    made.Rows, made.Columns, made.SamplesPerPixel = HEIGHT, WIDTH, 1
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = (noise().astype("<u2") << 4).tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


def whole_files() -> dict[str, bytes]:
    """One small valid file of each form that is read."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    colour, deep = noise(3), noise().astype(np.uint16) * 257
    return {
        "jpeg": encoded(colour, "JPEG", exif=exif, icc_profile=b"profile" * 30),
        "progressive": encoded(noise(), "JPEG", progressive=True),
        "cmyk": encoded(Image.fromarray(noise(4), "CMYK"), "JPEG"),
        "png": encoded(colour, "PNG", exif=exif),
        "palette": encoded(Image.fromarray(colour).convert("P"), "PNG", transparency=3),
        "alpha": encoded(noise(4), "PNG"),
        "deep": encoded(deep, "PNG"),
        "bits": encoded(noise() > 128, "PNG"),
        "bmp": encoded(colour, "BMP"),
        "tiff": encoded(colour, "TIFF", compression="tiff_lzw"),
        "deflated": encoded(deep, "TIFF", compression="tiff_adobe_deflate"),
        "float": encoded(noise().astype(np.float32), "TIFF"),
        "fax": encoded(noise() > 128, "TIFF", compression="group4"),
        "webp": encoded(colour, "WEBP", exif=exif),
        "lossless": encoded(noise(4), "WEBP", lossless=True),
        "dicom": dicom(),
        "dicom deflated": dicom("1.2.840.10008.1.2.1.99"),
        "dicom implicit": dicom("1.2.840.10008.1.2"),
    }


FILES = whole_files()


def read(content: bytes) -> Decoded:
    return decode("x.jpeg", content)


@pytest.mark.parametrize("name", FILES)
def test_the_whole_file_is_read(name: str) -> None:
    assert read(FILES[name]).image.size in ((WIDTH, HEIGHT), (HEIGHT, WIDTH))


@pytest.mark.parametrize("tenth", range(10))
@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_at_any_tenth_is_refused(name: str, tenth: int) -> None:
    assert not ImageFile.LOAD_TRUNCATED_IMAGES, "half a picture is none"
    for options in ({}, {"target": (8, 8), "grey": True}):
        with pytest.raises(DecodeError, match=r"^x\.jpeg: "):
            decode("x.jpeg", FILES[name][: len(FILES[name]) * tenth // 10], **options)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (bytes(1000), "no image of a known format"),
        (np.random.default_rng(0).bytes(5000), "no image of a known format"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "XML or SVG"),
        (b"%PDF-1.7\n" + bytes(100), "PDF"),
        (b"PK\x03\x04" + bytes(100), "ZIP"),
        (b"#!/bin/sh\nrm -rf /\n", "no image of a known format"),
        (b"\xff\xd8\xff" + b"<script>alert(1)</script>", "cut short"),
        (b"\x89PNG\r\n\x1a\n" + b"<html>" * 10, "PNG"),
        (b"RIFF\xff\xff\xff\xffWEBPVP8 ", "cut short"),
        (b"BM" + b"\xff" * 100, "damaged"),
        (b"II*\0\x08\0\0\0" + b"\xff" * 100, "TIFF"),
        (bytes(128) + b"DICM" + b"\xff" * 100, "DICOM"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(content: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        read(content)


def test_a_zip_of_pictures_is_no_picture() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpeg", FILES["jpeg"])
    with pytest.raises(DecodeError, match="ZIP"):
        read(buffer.getvalue())


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_animations_are_refused(form: str) -> None:
    frames = [Image.fromarray(noise(3, seed)) for seed in range(3)]
    with pytest.raises(DecodeError, match="animation|a GIF"):
        read(encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=50))


@pytest.mark.parametrize(
    "form", ["GIF", "PPM", "ICO", "TGA", "PCX", "EPS", "PDF", "JPEG2000", "AVIF", "ICNS", "DDS", "SGI"]
)
def test_formats_that_are_not_asked_for_are_not_opened(form: str) -> None:
    try:
        content = encoded(noise(3), form)
    except (KeyError, OSError, ImportError) as error:
        pytest.skip(f"Pillow cannot write {form} here ({error})")
    with pytest.raises(DecodeError, match="expected"):
        read(content)


@pytest.mark.parametrize("profile", [b"", b"broken", b"\0" * 3000, bytes(range(256)) * 200])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_colour_profiles_change_nothing(form: str, profile: bytes) -> None:
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    plain = read(encoded(noise(3), form, **options))
    profiled = read(encoded(noise(3), form, icc_profile=profile, **options))
    np.testing.assert_array_equal(np.asarray(profiled.image), np.asarray(plain.image))


def test_a_valid_colour_profile_changes_nothing_either() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for form in ("JPEG", "PNG", "TIFF"):
        np.testing.assert_array_equal(
            np.asarray(read(encoded(noise(3), form, icc_profile=profile)).image),
            np.asarray(read(encoded(noise(3), form)).image),
        )


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of_zeros(side: int, *extra: bytes, bits: int = 8, kind: int = 0) -> bytes:
    channels = {0: 1, 2: 3, 6: 4}[kind]
    packer = zlib.compressobj(9)
    row = bytes(1 + side * channels * bits // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff_of_zeros(side: int) -> bytes:
    strip = zlib.compress(bytes(side * side), 9)
    tags = [(256, side), (257, side), (258, 8), (259, 8), (262, 1), (273, 8), (277, 1), (278, side), (279, len(strip))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + struct.pack("<H", len(tags)) + entries + bytes(4)


def jpeg_of_size(width: int, height: int, progressive: bool = False) -> bytes:
    content = FILES["progressive"] if progressive else encoded(noise(), "JPEG")
    place = content.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def bmp_of_size(width: int, height: int) -> bytes:
    content = encoded(noise(), "BMP")
    return content[:18] + struct.pack("<ii", width, height) + content[26:]


def png_with_text() -> bytes:
    """A picture of 8 x 8 pixels beside text and a profile of 64 MiB each."""
    bomb = zlib.compress(bytes(2**26), 1)
    return png_of_zeros(8, chunk(b"zTXt", b"k\0\0" + bomb), chunk(b"iCCP", b"n\0\0" + bomb))


BOMBS: dict[str, Callable[[], bytes]] = {
    "png beyond the limits": lambda: png_of_zeros(11_000),
    "png with data for a few rows": lambda: png_of_zeros(4000, bits=16, kind=6)[:2000],
    "tiff beyond the limits": lambda: tiff_of_zeros(10_001),
    "jpeg beyond the limits": lambda: jpeg_of_size(65_535, 65_535),
    "jpeg with data for a few rows": lambda: jpeg_of_size(10_000, 9_999),
    "progressive jpeg with data for a few rows": lambda: jpeg_of_size(10_000, 9_999, progressive=True),
    "webp beyond the limits": lambda: b"RIFF\x2a\0\0\0WEBPVP8L\x1e\0\0\0\x2f" + b"\xff" * 29,
    "bmp beyond the limits": lambda: bmp_of_size(60_000, 60_000),
    "bmp with data for a few rows": lambda: bmp_of_size(9_000, 9_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_memory_is_spent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = BOMBS[name]()
    assert len(content) < 300_000
    monkeypatch.setattr(Image.core, "new", lambda *size: pytest.fail(f"memory for a picture of {size} was asked for"))
    outcomes: list[Decoded | str] = []
    held = peak_of(lambda: outcomes.append(attempted(content, {})))
    assert isinstance(outcomes[0], str)
    assert held < 4 * len(content) + 2**20, f"{held:,} bytes were held"


def test_a_bomb_beside_the_picture_is_not_inflated() -> None:
    content = png_with_text()
    held = peak_of(lambda: read(content))
    assert held < 4 * len(content) + 2**20, f"{held:,} bytes were held"


def peak_of(action: Callable[[], object]) -> int:
    """Bytes that Python held at most while something was done."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [(0, 0), (0, 48), (64, 0), (65_535, 65_535), (65_535, 1)])
def test_absurd_dimensions_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(DecodeError):
        read(jpeg_of_size(*size))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    with pytest.raises(DecodeError):
        read(b"\x89PNG\r\n\x1a\n" + header + FILES["png"][33:])


def test_the_wrong_ending_is_no_harm(tmp_path: Path) -> None:
    for name in ("png", "tiff", "webp", "bmp", "dicom"):
        path = tmp_path / f"{name}.jpeg"
        path.write_bytes(FILES[name])
        assert decode(str(path)).facts.format == name.upper()
    (tmp_path / "none").write_bytes(FILES["jpeg"])
    assert decode(str(tmp_path / "none")).facts.format == "JPEG"


@pytest.mark.parametrize(
    "name", ["肺炎 1.jpeg", "zwei\nZeilen.jpeg", " .jpeg", "a::b.jpeg", "%s{0}\\x00.jpeg", "..jpeg"]
)
def test_strange_names_are_read_and_named_in_errors(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES["jpeg"])
    assert read_pixels(str(path), CONTRACT)[0].shape == CONTRACT.shape
    path.write_bytes(b"nonsense")
    with pytest.raises(DecodeError) as caught:
        read_pixels(str(path), CONTRACT)
    assert str(caught.value).startswith(f"{path}: no image")


def test_pipes_folders_and_devices_given_as_files_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpeg")
    (tmp_path / "folder.jpeg").mkdir()
    (tmp_path / "link.jpeg").symlink_to("/dev/zero")
    for name in ("pipe.jpeg", "folder.jpeg", "link.jpeg"):
        with pytest.raises(DecodeError, match=f"{name}: the path is a"):
            read_pixels(str(tmp_path / name), CONTRACT)


# Inputs of benchmarks/fuzz_decode.py, compressed, at each of which Pillow or a library beneath it raises an error of
# its own in another place; none may escape.
FUZZED = {
    "a BMP without an offset": ("c-nLF&0}C-_|L#l!vFvev;uh"),
    "a BMP that ends in its header": (
        "c-nLF&0~OoZaW~M0mK3f4GcU$nh^*=;0PZCGciCg2>k#5pCNcI14ES)14FnQ14A1_5I;k|C<6lka|a6s"
    ),
    "a BMP of an unknown header": (
        "c-"
        "nLF&0~N7J18vx#5_RE2!tSD0K`Z5Aee~(f<fT_|NjiZa~T+_oER9wT^JaG_!$^}>M<~U@nm3V`pv+Q4CJdOGcbh8u4iD#l4W4%7iC}o0"
        "Jm-r{r"
    ),
    "a PNG whose pixel data stop": (
        "c-"
        "rd>@N?(olHy`uVBq!ia0vp^0zk~e2qYMs=P>BtlaNY{@J#ddWzYh$IT#ojg&3HDEM^8a1~B+BG5I}^()Dz445^rt{6ai+*V%&#yXSQ#G"
        "cp+2PyQp_)<3Vu{=5;(N8^pNj5Yr!?vmtX*u0RdOUW-P5@eUBtDj3Y64>xJlpO%Fmnw7"
    ),
    "a JPEG whose frame is cut": (
        "c-s4a<NrPe_PVhCv&H}4F$g=R<R>vOF#P|?00sY#FsLywFtRd207wWzf>}(=EUawo9GqO-{|_(-"
        "a4_&N2(UN{GWZI53o`t_#lXkn%;3uq$>7bvV9&5xqwjpw6_b|B^Ku;zemuMWkL#X`@7L$uJ9l*P72T^#Kl2o=pJr+0?BeR??&0Yb91<E"
        "99uXOpoRXTBo{^bVTvA$AUQt=q+|t_C-qG1LY4Vh*)27duIcw44B}<nrU$Ju4rp;TnZri?N=dMGCj~qRA{KUyqmo8tq3Up;}|K7P5)QX"
        "PVesY?sJ^w?u`|2O_gW9qyl=@CtZ}C?%SlUo=<>{`TElWQvVR#_QJ?-w)vY?n(hR2_rE4ir`v83<JIk{(n)6?{?-"
        "DSUbg6DzYZc}eu?swyUci_pFCuK@q|8D{SRd$<B"
    ),
    "a WebP of a wrong first chunk": (
        "c-jHZ0WtnkNk&G-0RRA3MM6+POi)O{00000TqcD0UgKiYI(kz(<jo`O_(W}qsBtFlu?o<;E}eh}?YK__7s4ik=Iulfe%GH7rdT;{-"
        "}fYs!a_woHRCrqARos`&6eAZ!_N<obV+k*ebLjPwe_Q36^%QX2HEi?(P#?j@C%pH%4*!y9ReC%927#QhDP(VqVdTf3EgN9dSPyEP<?&*"
        "vBm;V`$dA>qv0xoqF9ptyigD>Md3xyMyiJOknHxqpxpmIkR%$b47SoLu4UxulaIBOzA?y#09H^qAn*VH0Pz3+odGHk01N;DKqe)y0(3o"
        "qH~>FP{U?2dzhFHhN?E<&AERFYAH=_kf4krv{eUdIZU}oztN{Me_M~~MS49qtu5e)D#wYN2sNZ9Qmprk@vX1|4{<7<y^j78)P2W`Qk^i"
        "2dO!^XcR9-Qt+@ZtMkpO=x?3ZfUdt$s_%7ga;<k%gz*-"
        "yUL=ukDo^Lbypd**eFAOBu8@MHgbV}dr*DZKx0`L~qjO}+b+zaA}>9C52T75PcR`9>yh(db)%(b5&v{md)(QVh<4|K~`>qH9D1T-"
        "AT}kz<T*A9vaXxFK)b^L|`ioVaKp0KJjuB>"
    ),
    "a JPEG damaged in its pixels": (
        "c-"
        "s4a<NrSfwpoET3;#c05b$#IbYozILWcjh8Jrn7*x1<FSUK3)**Q5mxOhZ(dAPZGB!z_eMP#Mq<z%H~WE52N)D@I;lx1Wz%r$ik3{6Z-"
        "<kc;0EsSjRj7^OGA7J3-"
        "VBld8U}O|z_<w{!o`Hdpl@SaWpn#EynT3^&or9B$8>nEb00R>vGcywlGb<|#3sANeD9^wm$SS00=*T7<n8>bFC}Pw&aUqAY)5e3MK^H%"
        "$7$+4qadL@?OGrwos;O&eYMGdtnOj&|IlH*JxqEne1&4%&g-"
        "1k2C8wmOrDtSj6_=Ejl~+_&HMg|3wRd!OO`1Gq>a^)IX3ko)c*)Xb%U7&iwQ2K~t=qQm*tzS_;Uh<n9Y1mM)TPT;u3o!-"
        "<L0f0j~+jH`t13Om#;p4`uyeVx9>lG{`!BHfrWwb|1Aa%kgx0+F7Dd6e_yt(!OR4QiPpzWKB@#C+a#3YuQ0DJ<KO}50*MWZp8qeXZ`<D"
        "Ox4rLGtaH#M7G0H&)+>9$PBAT?w&T;cx(}aj-"
        "rZox@=pH$#f7<fCFiBiF1Z!sD|I+OKbiI1o3lJc(I>4%)LU~;I4BfsGGJb2|Nm0m*5ym=47O}+i&Waa)8WiUEwy9b00}9vb^"
    ),
    "a WebP that libwebp gives up": (
        "c-jl{baOLdVqge&bqWXzu!!JdU|`??Vtxh&ZUzRRh{87@Pk@zSE~AzJ0}lhEgPQ6FrjmM=4E9&-5&ctE8r8oP-"
        "@yJc{>l7zKiKyB1ynyxcgSL3_@j3CWV!X*YmI(?PcYZ*c2N_U^5bnv>-"
        "k;svrf5Ye_s${7Uq5a<B{%#@t?{Z+2c++luh?!zvincsqtU5InT%b{(?W@4c=$lcdzaLlzwXdTM@H2HJfgF>aCy0vwP~HP3Qk<=Q(}Jx"
        "VB07!0P{hWxZ}F^Zq{DR5Izx(aZlIG#RhT4OTmH^73IL?(fka`%dk;p+7S{dP(2$6;kbg(vJJM?U{T&F34x4nrug{yy@e;|Br=tMZP)m"
        "=~N!~CllsRo%ao7>l#M7?_DE2-K2oN_w{Aa0w)SaMj-}fAd8WKjR6b*-4*{p"
    ),
    "a TIFF that libtiff gives up": (
        "c-r&y)MD7ez`*eT#{UBh+#C!%3<8Xdf(-v}F>o+4GBDUPT->#B|GsQngP92q6RnS%d{hZOwn-"
        "?(UtwNd#=!&91ri$+J<rX%bx+sop7qL7UT+V9Et8bQgFZ%UaLtQ)eER0^!>7~B4jd8Q5wLB$ReEpQrCdF=-"
        "o)+OH#R*lOKY>#eKNO8_|Uc|3IZ095{#FnqOQ%G@Z->>W0EOd_ntBv9a%A3QulUd>?*UK6UX!Ko_u-"
        "o{QsK_Tnr41%nU%+F$e%LBb3bp#Ow?ZHU|(hL&e#Fm<`GXVL?U~xEe7ez2Z>u)j%x6D9Q*^AI-"
        "?lpa^6bfjE$my3OFsz`@4G&c@2Y&d$!s$-"
        "%`V!pp<W%_Au!%r7D<B`+r{B_pGtqNlE)q@ye&qhYS8V_;}vVj{0@X=`C*qi1Yl^#2HhJkSDGMlfK20!Aig7FITP4o)s^pn|Oe3`~s7%"
        "uFoItgI|7K-"
        "pTLJOhg$tB|6hBb#twBD+$dh*9Ijg&fLG8xM*GUHqV8oK)1r$t5N(At|M*rmmr>WnyY(ZeeNV?BeR??&0Yb91<E99uXOpoRXTBo{^bVT"
        "vA$AUQt=q+|t_C-"
        "qG1LY4Vh*)27duIcw44B}<nrU$Ju4rp;TnZri?N=dMGCj~qRA{KUyqmo8tqdhPm+o3|c5di><+v*#~fzWVs-^OvvRzW@07>;Fvv07A9{"
    ),
}


@pytest.mark.parametrize("name", FUZZED)
def test_errors_of_the_libraries_beneath_do_not_escape(name: str) -> None:
    content = zlib.decompress(base64.b85decode(FUZZED[name]))
    for options in ({}, {"target": (8, 8), "grey": True}, {"depth": "range"}):
        assert isinstance(attempted(content, options), str)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        # Took quadratic time when the search for a marker began anew at every byte.
        (b"\xff\xd8" + b"\xff" * 10_000_000, "cut short"),
        # An offset beyond what the machine can count.
        (b"II+\0" + b"\xff" * 20, "cut short"),
        (b"MM\0+" + b"\xff" * 20, "cut short"),
    ],
)
def test_what_was_found_by_hand_stays_found(content: bytes, reason: str) -> None:
    outcome = attempted(content, {})
    assert isinstance(outcome, str)
    assert reason in outcome


def attempted(content: bytes, options: dict[str, Any]) -> Decoded | str:
    """The picture, or why it is refused."""
    try:
        return decode("x", content, **options)
    except DecodeError as error:
        return str(error)


def checked(content: bytes, options: dict[str, Any]) -> None:
    """Nothing but a DecodeError escapes, and what comes out is in order."""
    result = attempted(content, options)
    if isinstance(result, str):
        assert result.startswith("x: ")
        return
    assert result.image.mode in ("L", "RGB")
    assert 0 <= result.facts.mean <= 255
    assert 0 <= result.facts.std <= 127.5
    left, upper, right, lower = result.box
    assert 0 <= left < right <= result.image.width
    assert 0 <= upper < lower <= result.image.height


OPTIONS = st.fixed_dictionaries(
    {
        "target": st.sampled_from([None, (8, 8), (1, 40)]),
        "grey": st.booleans(),
        "depth": st.sampled_from(["significant", "full", "range"]),
    }
)


@given(st.binary(min_size=1, max_size=400), st.sampled_from(list(FILES)), st.integers(0, 60), OPTIONS)
def test_of_any_bytes_after_any_beginning_nothing_but_a_decode_error_escapes(
    content: bytes, name: str, kept: int, options: dict[str, Any]
) -> None:
    checked(FILES[name][:kept] + content, options)
    checked(content, options)


@settings(max_examples=400)
@given(
    st.sampled_from(list(FILES)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    st.floats(0.02, 1),
    st.booleans(),
    OPTIONS,
)
def test_of_a_damaged_picture_nothing_but_a_decode_error_escapes(
    name: str, changes: list[tuple[float, int]], kept: float, in_header: bool, options: dict[str, Any]
) -> None:
    content = FILES[name]
    damaged = bytearray(content[: max(1, int(len(content) * kept))])
    # Most of a file is pixel data; half of the time the damage is done where decisions are made.
    reach = min(len(damaged), 400) if in_header else len(damaged)
    for place, value in changes:
        damaged[int(place * reach)] = value
    checked(bytes(damaged), options)


@settings(max_examples=60)
@given(
    st.sampled_from(["PNG", "TIFF", "BMP", "WEBP"]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
def test_what_a_lossless_format_keeps_comes_back(form: str, height: int, width: int, channels: int, seed: int) -> None:
    shape = (height, width) if channels == 1 else (height, width, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    options = {"lossless": True} if form == "WEBP" else {}
    found = np.asarray(read(encoded(pixels, form, **options)).image)
    np.testing.assert_array_equal(found, pixels if found.ndim == pixels.ndim else np.dstack([pixels] * 3))


@settings(max_examples=40)
@given(st.sampled_from(["PNG", "TIFF"]), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_sixteen_bits_come_back_scaled(form: str, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 65536, (height, width), dtype=np.uint16)
    found = np.asarray(decode("x", encoded(pixels, form), depth="full").image)
    np.testing.assert_array_equal(found, (pixels / 257 + 0.5).astype(np.uint8))
