"""The commands of `feint`: each a dataclass whose docstring is its help, its fields its flags."""
