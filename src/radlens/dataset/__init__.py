"""Which images, whose, labelled what, in which split."""
