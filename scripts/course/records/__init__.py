"""SCRIPT → RECORD: runs the experiments and keeps what they printed and measured."""
