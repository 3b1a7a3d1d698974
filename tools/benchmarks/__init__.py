"""The figures that `tools/bench` measures, each beside its baseline."""
