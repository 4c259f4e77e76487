"""An array becomes the views that are compared."""
