"""The command ``med2e3``: reports, questions, models, and what this computer can run.

Importing it imports no torch; a command loads the heavy half only after its input was checked.
"""
