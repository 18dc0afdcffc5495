"""What a feedback job is, free of frameworks: its states, its rubric, its prompt and the check of its output."""
