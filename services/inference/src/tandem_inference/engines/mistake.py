"""A mistake in the engines' file that concerns several fields: it says which one to look at, so that its line can be told."""


class MistakeError(ValueError):
    """What is wrong; `at` leads from the validated part of the file to the field that should change."""

    def __init__(self, message: str, *at: str | int) -> None:
        super().__init__(message)
        self.at = at
