"""The ways into chat: HTTP and the command line."""
