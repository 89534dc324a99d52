"""Images decoded once and kept as memory maps, one map a preprocessing contract."""
