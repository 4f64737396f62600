"""The pure heart: state and decisions, and nothing that touches the outside world."""
