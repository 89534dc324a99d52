"""The verbs as numbered steps, each in a module of its own."""
