"""`tito`, on the tiny course."""
