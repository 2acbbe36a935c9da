"""Training of the separator, which extracts the vocal from a mixture."""
