"""The ports of chat on real things: a SQL database and the inference gateway."""
