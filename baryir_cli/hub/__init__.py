"""Weights from and to the Hugging Face Hub; every request is huggingface_hub's."""
