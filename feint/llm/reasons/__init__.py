"""Reason-based deception: what models do under pressure after a refusal, a rebuttal, or neither."""
