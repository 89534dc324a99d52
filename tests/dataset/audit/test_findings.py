"""Findings in one line."""

from __future__ import annotations

import pytest

from radlens.dataset.audit.findings import Finding


@pytest.mark.parametrize(
    ("message", "headline"),
    [
        ("3 image(s) cannot be read and are left out. Mend them.", "3 image(s) cannot be read and are left out"),
        (
            "A fact tells the label with AUROC 0.97 (0.95, 0.99). A model may learn it.",
            "A fact tells the label with AUROC 0.97 (0.95, 0.99)",
        ),
        ("60 picture(s) do: 30 of 30 in COVID/masks. Look at them.", "60 picture(s) do: 30 of 30 in COVID/masks"),
        ("Only this", "Only this"),
        ("word " * 60, " ".join(["word"] * 39) + " …"),
    ],
)
def test_the_headline_is_the_first_sentence(message: str, headline: str) -> None:
    assert Finding(check="leak", severity="note", message=message, count=1).headline == headline
