"""Several engines on one card: declared, divided, ordered, or refused with what would fit."""
