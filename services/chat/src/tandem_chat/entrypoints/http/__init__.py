"""The HTTP face: handlers parse, call one use case and map its answer."""
