"""The real engines, the sentence scorer and the prompt files."""
