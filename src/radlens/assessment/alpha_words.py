"""How the stated rate of error was chosen, in words; for the report and for the model card."""

from __future__ import annotations

from radlens.runtime.records import Abstention, AlphaChoice


def alpha_in_words(limits: Abstention) -> str:
    """Sentences on the rate of error that a model states.

    >>> alpha_in_words(Abstention(alpha=0.05, alpha_rule="stated"))
    'The stated rate of error, 5%, is that of the settings.'
    """
    rate = f"The stated rate of error, {100 * limits.alpha:g}%, "
    if limits.alpha_choice is not None:
        return rate + _weighed(limits.alpha_choice, limits.alpha)
    if limits.alpha_rule == "images":
        return (
            f"{rate}was not weighed by what it costs, for which there are too few validation images: it is the lowest "
            "from 5% up at which they can rule out each class, or 5% if there is none."
        )
    return f"{rate}is that of the settings." if limits.alpha_rule == "stated" else ""


def _weighed(choice: AlphaChoice, alpha: float) -> str:
    at = choice.at(alpha)
    refers = (
        f"it refers {at.referred:,} of {choice.images:,} and avoids {at.errors_avoided:,} of {choice.errors:,} errors"
    )
    if at.referred > choice.most_referred * choice.images:
        rule = (
            f"every rate refers more than {choice.most_referred:.0%} (evaluate.most_referred), and this one fewest; "
            f"{refers}"
        )
    else:
        rule = (
            f"{refers}, an avoided error being worth {choice.referrals_per_error:g} referrals "
            f"(evaluate.referrals_per_error) and no more than {choice.most_referred:.0%} being referred "
            "(evaluate.most_referred)"
        )
    return (
        f"was chosen by what it costs on half of the validation images: {rule}. Its limits were set on the other half, "
        "which had no part in the choice, so that the rate is kept."
    )
