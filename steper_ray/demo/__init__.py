"""The bundled demo: an invented world of multi-hop questions and a small language model that learns to answer them."""
