"""The experiments of the paper on batch normalisation, by generated code only."""
