"""Reading images, and caching and feeding patches of them."""
