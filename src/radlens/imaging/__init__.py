"""From files to pixels: one contract, the same in training and in deployment."""
