"""From pixels to weights: augmentation, networks, training, saliency and out-of-distribution distance."""
