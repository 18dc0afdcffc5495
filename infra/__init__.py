"""Everything that runs Tandem elsewhere than on one machine."""
