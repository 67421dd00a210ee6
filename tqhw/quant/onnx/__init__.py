"""The deployable model as ONNX: weights as bit planes, made once for a precision, or sums of integers."""
