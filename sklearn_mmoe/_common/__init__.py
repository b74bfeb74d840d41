"""Small helpers that know of no model: words of errors, checks of arguments, devices, memory, what may lack."""
