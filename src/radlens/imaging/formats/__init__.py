"""One module for each picture format: its container read and checked by us, its pixels decoded by Pillow."""
