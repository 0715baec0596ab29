"""What the notebooks alone use: the figures of the talk, exercises with their judges, explorers of one notebook, losses to probe."""
