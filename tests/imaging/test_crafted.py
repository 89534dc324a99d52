"""Files made to do harm: bombs, absurd sizes, and those at which a library once failed; each is refused."""

from __future__ import annotations

import base64
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from made_pictures import attempted, encoded, noise
from radlens.imaging.decode import Decoded, DecodeError, decode


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
    content = encoded(noise(), "JPEG", progressive=progressive)
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


def peak_of(action: Callable[[], object]) -> int:
    """Bytes that Python held at most while something was done."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_memory_is_spent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = BOMBS[name]()
    assert len(content) < 300_000
    monkeypatch.setattr(
        "PIL.Image.core.new", lambda *size: pytest.fail(f"memory for a picture of {size} was asked for")
    )
    outcomes: list[Decoded | str] = []
    held = peak_of(lambda: outcomes.append(attempted(content, {})))
    assert isinstance(outcomes[0], str)
    assert held < 4 * len(content) + 2**20, f"{held:,} bytes were held"


def test_a_bomb_beside_the_picture_is_not_inflated() -> None:
    content = png_with_text()
    held = peak_of(lambda: decode("x.jpeg", content))
    assert held < 4 * len(content) + 2**20, f"{held:,} bytes were held"


@pytest.mark.parametrize("size", [(0, 0), (0, 48), (64, 0), (65_535, 65_535), (65_535, 1)])
def test_absurd_dimensions_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(DecodeError):
        decode("x.jpeg", jpeg_of_size(*size))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    with pytest.raises(DecodeError):
        decode("x.jpeg", b"\x89PNG\r\n\x1a\n" + header + encoded(noise(3), "PNG", exif=exif)[33:])


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
