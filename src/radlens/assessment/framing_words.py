"""How a model's answers hang on the framing of images, and what to do about it, in words; for the report, for the model
card and for the terminal.
"""

from __future__ import annotations

from radlens.config.presets import presets
from radlens.runtime.framing_records import FramingSummary

_CUTS = {"top", "bottom", "left", "right", "top and bottom", "left and right", "all sides"}
# The settings that let training show the network such framings.
_SETTINGS = {
    "cuts": "augment.sides and augment.crop (each side is cut off by itself)",
    "stretched": "augment.stretch (the aspect varies)",
    "zoomed out": "augment.margin with augment.crop above 1 (the image is reduced within black margins)",
    "shifted": "augment.shift with augment.margin (the image is moved, black follows)",
    "combined": "augment.sides, augment.stretch and augment.margin (each side is cut or gets a margin by itself)",
}


def change_in_words(name: str) -> str:
    """What a change of the suite did to the images.

    >>> change_in_words("top and bottom 15 %"), change_in_words("stretched 1.33")
    ('15 % cut off at top and bottom', 'the image squeezed to 75 % of its width between black margins')
    >>> change_in_words("all sides 5 %"), change_in_words("combined 2")
    ('5 % cut off on all sides', 'all four edges moved at random')
    """
    kind, strength = _parts(name)
    if kind in _CUTS:
        return f"{strength} cut off {'on all sides' if kind == 'all sides' else f'at {kind}'}"
    if kind in ("stretched", "zoomed out") and strength.replace(".", "", 1).isdecimal() and float(strength) > 0:
        ratio = float(strength)
        kept, of = (1 / ratio, "width" if kind == "stretched" else "size") if ratio > 1 else (ratio, "height")
        return f"the image squeezed to {100 * kept:.0f} % of its {of} between black margins"
    if kind == "shifted":
        return f"the image shifted by {strength} to the side and by as much up or down"
    return "all four edges moved at random" if kind == "combined" else name


def verdict_in_words(summary: FramingSummary) -> str:
    """The verdict in one sentence.

    >>> from radlens.runtime.framing_records import Estimate
    >>> worst, loss = Estimate(value=0.55, low=0.5, high=0.6), Estimate(value=0.4, low=0.3, high=0.5)
    >>> verdict_in_words(
    ...     FramingSummary(
    ...         images=300,
    ...         patients=200,
    ...         confidence=0.95,
    ...         verdict="fail",
    ...         worst="top 10 %",
    ...         worst_balanced_accuracy=worst,
    ...         balanced_accuracy=0.95,
    ...         loss=loss,
    ...         losing=("top",),
    ...     )
    ... )
    'The answers hang on how the images are framed: with 10 % cut off at top, the balanced accuracy goes from 95.0% to \
55.0%.'
    """
    went = (
        f"with {change_in_words(summary.worst)}, the balanced accuracy goes from {summary.balanced_accuracy:.1%} to "
        f"{summary.worst_balanced_accuracy.value:.1%}"
    )
    if summary.verdict == "fail":
        return f"The answers hang on how the images are framed: {went}."
    if summary.verdict == "pass":
        return f"The answers stay nearly the same however the images are framed: at worst, {went}."
    if not summary.losing:
        return f"Too few images of a class to tell whether the answers hang on the framing: at worst, {went}."
    return f"The answers may hang on how the images are framed: {went}."


def advice(summary: FramingSummary) -> str:
    """What to do about it; empty where nothing speaks against the model."""
    if summary.verdict == "pass":
        return ""
    if not summary.losing:
        return "Judge it on 20 images or more of each class: radlens evaluate MODEL SOURCE --out DIR."
    kinds = [kind for kind in summary.losing if kind != "combined"] or ["combined"]
    groups = ("cuts" if kind in _CUTS else kind for kind in kinds)
    settings = dict.fromkeys(_SETTINGS.get(group, _SETTINGS["combined"]) for group in groups)
    having = [name for name, values in presets().items() if values.get("augment", {}).get("stretch")]
    several = len(having) > 1
    said = f"; the preset{'s' if several else ''} {' and '.join(having)} set{'' if several else 's'} these"
    from_preset = said if having else ""
    fit = " To keep the aspect of the anatomy, set preprocessing.fit=pad." if "stretched" in kinds else ""
    return (
        f"Train with framings that vary: {'; '.join(settings)}{from_preset}.{fit} Prepare the images of all "
        "classes by the same crop, and ask whether those of one class were framed otherwise when they were taken."
    )


def line(summary: FramingSummary) -> str:
    """The verdict and what to do, for a terminal: ``Framing: pass. …``."""
    verdict = summary.verdict.upper() if summary.verdict == "fail" else summary.verdict
    return " ".join(part for part in (f"Framing: {verdict}.", verdict_in_words(summary), advice(summary)) if part)


def _parts(name: str) -> tuple[str, str]:
    """Kind and strength of a change by its name.

    >>> _parts("left and right 10 %"), _parts("zoomed out 1.3")
    (('left and right', '10 %'), ('zoomed out', '1.3'))
    """
    kind, _, strength = name.removesuffix(" %").rpartition(" ")
    return kind, f"{strength} %" if name.endswith(" %") else strength
