"""From weights to a folder that others can use."""
