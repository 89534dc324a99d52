"""Mixed images: shares, rectangles, and that both come as often as asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from radlens.learning.mixing import Mix, draw_mix


def test_without_settings_nothing_is_mixed_and_nothing_drawn() -> None:
    before = torch.get_rng_state()
    assert draw_mix(8, 8, 0, 0) is None
    assert torch.equal(torch.get_rng_state(), before)


def test_mixup_adds_the_image_before() -> None:
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    found = Mix(0.75).apply(images)[:, 0, 0, 0]
    np.testing.assert_allclose(found, [0.75 * 0 + 0.25 * 3, 0.75, 1.75, 2.75])


def test_cutmix_pastes_a_rectangle_of_the_image_before() -> None:
    images = torch.arange(3.0).view(3, 1, 1, 1).repeat(1, 1, 4, 5)
    found = Mix(0.7, (1, 4, 2, 4)).apply(images)
    for number in range(3):
        wanted = np.full((4, 5), number)
        wanted[1:4, 2:4] = (number - 1) % 3
        np.testing.assert_array_equal(found[number, 0], wanted)
    assert images[1].unique().tolist() == [1], "the batch itself is not changed"


@given(st.integers(4, 40), st.integers(4, 40), st.floats(0.1, 5), st.integers(0, 10_000))
def test_the_share_of_cutmix_is_that_of_the_pixels_left(height: int, width: int, strength: float, seed: int) -> None:
    torch.manual_seed(seed)
    mix = draw_mix(height, width, 0, strength)
    assert mix is not None
    own = (Mix(mix.share, mix.box).apply(torch.eye(2)[:, :1, None, None].repeat(1, 1, height, width)) == 1)[0]
    assert mix.share == pytest.approx(float(own.float().mean()), abs=1e-6)


def test_shares_of_mixup_are_beta_distributed_and_both_kinds_take_half() -> None:
    torch.manual_seed(0)
    drawn = [draw_mix(32, 32, 0.4, 1.0) for _ in range(4000)]
    plain = [mix.share for mix in drawn if mix is not None and mix.box is None]
    assert len(plain) / len(drawn) == pytest.approx(0.5, abs=0.03)
    # Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1)).
    assert np.mean(plain) == pytest.approx(0.5, abs=0.03)
    assert np.var(plain) == pytest.approx(1 / (4 * 1.8), rel=0.06)
