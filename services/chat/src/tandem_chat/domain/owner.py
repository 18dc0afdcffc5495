"""Whose things are whose: every conversation has one owner, who alone sees it and all that belongs to it."""

from typing import Final

# Everybody's, where chat runs without sign-in; never somebody's own name.
LOCAL_OWNER: Final = "local"
OWNER_CHARS: Final = 255
