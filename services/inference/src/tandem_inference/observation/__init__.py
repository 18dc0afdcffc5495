"""What the service tells of itself: memory of cards and processes, engines' states and numbers. Only reads; changes nothing."""
