"""Who may talk to whom: keys, certificates, tickets, and the rules for TLS."""
