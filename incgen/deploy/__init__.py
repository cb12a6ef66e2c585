"""Networks for inference: passes that rewrite a network into an equal one that costs less."""
