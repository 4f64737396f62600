"""Proof of identity and roles: keys, certificates, tickets, and the rules for TLS."""
