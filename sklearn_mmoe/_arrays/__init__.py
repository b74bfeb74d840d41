"""What others call arrays (tensors, masked arrays, frames, sparse matrices) as checked arrays of NumPy's."""
