"""Weights from and to the Hugging Face Hub; huggingface_hub makes all requests."""
