"""From pixels to weights."""
