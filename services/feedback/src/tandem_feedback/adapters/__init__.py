"""The ports of feedback on real things: a SQL database and the inference gateway."""
