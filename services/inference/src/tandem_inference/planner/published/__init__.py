"""The published memory API of 2025: its request and response fields, its old arithmetic, and the true numbers in them."""
