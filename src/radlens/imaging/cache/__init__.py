"""Images decoded once: one append-only memory map a preprocessing contract, found through an index in SQLite."""
