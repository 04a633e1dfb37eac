"""Code of the user's own: installed packages with an entry point, and project folders that the user trusts."""
