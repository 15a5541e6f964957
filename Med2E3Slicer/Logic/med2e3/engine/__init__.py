"""The engine: one service that holds the model and answers over HTTP (heavy half)."""
