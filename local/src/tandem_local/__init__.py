"""Sets up and runs all of Tandem on one machine."""
