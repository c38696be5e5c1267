"""The routes, and who may call them."""
