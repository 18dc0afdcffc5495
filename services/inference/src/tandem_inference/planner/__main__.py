"""`python -m tandem_inference.planner`: the command line without its console script."""

from tandem_inference.planner.cli.main import main

main()
