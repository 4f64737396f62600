"""What batch systems are asked, and what their answers mean: one file for each, without effects."""
