class Sweep:
    """x."""
