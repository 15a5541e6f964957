"""Several replicas of the model, on this computer or on several, behind one service."""
