"""The command line `tandem-plan`."""
