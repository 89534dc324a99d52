"""The sections of the report, each from evidence to the parts of a page."""
