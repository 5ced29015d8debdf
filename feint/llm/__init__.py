"""Overlap fine-tuning of transformers, on the same loss; nothing is here before version 0.2."""
