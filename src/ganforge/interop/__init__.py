"""Import of official checkpoints; export to safetensors, ONNX and torch.export."""
