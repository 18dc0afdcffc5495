"""The google provider's schema, and how it is taken from a package."""
