"""How a job stands, shown by the program itself: bars, lines, notebooks. Loaded when asked for."""
