"""Elements of our own: a Python wrapper here, a Vue component in the .js file of the same name beside it."""
