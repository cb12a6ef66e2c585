"""Networks in notebooks: objects that show themselves, and cells that define them."""
