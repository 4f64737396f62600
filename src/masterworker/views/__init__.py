"""How a job looks to people: what all views have in common, and each of them."""
