"""The product's own tests, one file for each file they test, on a tiny course of three modules."""
