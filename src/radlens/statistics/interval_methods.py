"""How each kind of interval is named next to a figure, and what it does, in metrics.json as in the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

WILSON = "Wilson"
CLUSTERED_WILSON = "Wilson, clustered"
DELONG = "DeLong"
CLUSTERED_DELONG = "DeLong, clustered"
PAIRS = "Wilson, pairs"
LOGIT = "bootstrap, logit"
INVERTED = "bootstrap, inverted"
RATIO = "MOVER-R"
SANDWICH = "sandwich"

METHODS: Mapping[str, str] = {
    WILSON: "score interval of a share (Wilson 1927)",
    CLUSTERED_WILSON: "score interval (Wilson 1927) of as many independent images as would say as much as those of "
    "patients with several (design effect, Rao and Scott 1992)",
    DELONG: "variance of DeLong et al. 1988, normal on the logit",
    CLUSTERED_DELONG: "variance of DeLong et al. 1988 for patients with several images (Obuchowski 1997), normal on "
    "the logit",
    PAIRS: "score interval (Wilson 1927) of as many pairs of a positive and a negative patient as there are without "
    "one in two of them, all in the same order; where AUROC is 0 or 1",
    LOGIT: "spread among resamples of patients, who bring all their images along (Efron 1979), normal on the logit",
    INVERTED: "the calibration errors under which what was seen is no rare draw, by resampling patients: the error "
    "that chance alone makes is taken off (test inversion, Davison and Hinkley 1997)",
    RATIO: "from the Wilson limits of sensitivity and specificity (Newcombe 2016)",
    SANDWICH: "normal, with a variance from the totals of the patients (Liang and Zeger 1986)",
}


def described(names: Iterable[str]) -> dict[str, str]:
    """What the named methods do, in a fixed order.

    >>> described(["Wilson"])
    {'Wilson': 'score interval of a share (Wilson 1927)'}
    """
    used = set(names)
    return {name: text for name, text in METHODS.items() if name in used}
