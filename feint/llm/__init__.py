"""Language models: scenes, liars, overlap fine-tuning on the agents' loss, and evaluation."""
