"""What engines reported when they started: logs and tables read, compared with the plan, explained."""
