"""Diagnosis of trained discriminators: `sparring diagnose RUN`, and its measurements as functions of plain tensors.

    found = sparring.diagnose("runs/first", "runs/second", only=["gradients", "robustness"])
    found.numbers["robustness"]["first"]["attacks"], found.report

Each measurement has its own file (`gradients`, `robustness`, `spectrum`, `neighbours`, `realistic`) and takes a
`Subject`: any discriminator of this library with its adversarial loss. `sections` draws the results, `diagnosis` puts
them together.
"""
