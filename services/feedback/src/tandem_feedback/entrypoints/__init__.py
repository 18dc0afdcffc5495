"""The ways into feedback: the worker with its small HTTP face, and the command line."""
