"""The OpenAI-compatible face: checks a request once, finds its engine, and relays the answer's bytes untouched."""
