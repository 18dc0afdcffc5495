"""Where the outside comes in: the command line and the HTTP app."""
