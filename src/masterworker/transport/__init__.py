"""How processes reach each other: connections, and finding the master."""
