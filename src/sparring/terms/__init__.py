"""The terms, one file per method. A recipe names them by the keys of `REGISTRY`."""

REGISTRY: dict[str, str] = {
    # adversarial losses: exactly one of them is the host
    "non_saturating": "sparring.terms.non_saturating:NonSaturating",
    "minimax": "sparring.terms.minimax:Minimax",
    "least_squares": "sparring.terms.least_squares:LeastSquares",
    "wasserstein": "sparring.terms.wasserstein:Wasserstein",
    "hinge": "sparring.terms.hinge:Hinge",
    "relativistic_pairing": "sparring.terms.relativistic_pairing:RelativisticPairing",
    # penalties
    "gradient_penalty": "sparring.terms.gradient_penalty:GradientPenalty",
    "r1": "sparring.terms.r1:R1",
    "r2": "sparring.terms.r1:R2",
}
