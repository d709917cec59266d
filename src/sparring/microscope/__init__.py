"""A discriminator under the microscope: `sparring diagnose RUN`, and what it measures as functions of plain tensors.

    found = sparring.diagnose("runs/first", "runs/second", only=["gradients", "robustness"])
    found.numbers["robustness"]["first"]["attacks"], found.report

The measurements stand in files of their own (`gradients`, `robustness`, `spectrum`, `neighbours`, `realistic`) and take a
`Subject`, any discriminator of this library with its adversarial loss; `sections` draws them, `report` puts them together.
"""
