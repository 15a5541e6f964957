"""Training: recipes, stages, and what the model learns from (heavy half: torch)."""
