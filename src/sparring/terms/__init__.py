"""The terms, one file per method. A recipe names them by the keys of `REGISTRY`."""

REGISTRY: dict[str, str] = {
    # adversarial losses: exactly one of them is the host
    "non_saturating": "sparring.terms.non_saturating:NonSaturating",
    "minimax": "sparring.terms.minimax:Minimax",
    "least_squares": "sparring.terms.least_squares:LeastSquares",
    "wasserstein": "sparring.terms.wasserstein:Wasserstein",
    "hinge": "sparring.terms.hinge:Hinge",
    "relativistic_pairing": "sparring.terms.relativistic_pairing:RelativisticPairing",
    # hosts on class logits
    "nat_gan": "sparring.terms.nat_gan:NATGAN",
    "am_gan": "sparring.terms.am_gan:AMGAN",
    "cat_gan": "sparring.terms.cat_gan:CatGAN",
    "k_plus_one": "sparring.terms.k_plus_one:KPlusOne",
    # beside the host
    "sdp": "sparring.terms.sdp:SDP",
    "as_gan": "sparring.terms.as_gan:ASGAN",
    "negatives": "sparring.terms.negatives:Negatives",
    "multi_hinge": "sparring.terms.multi_hinge:MultiHinge",
    "auxiliary_classifier": "sparring.terms.auxiliary_classifier:AuxiliaryClassifier",
    "semi_supervised": "sparring.terms.semi_supervised:SemiSupervised",
    "feature_matching": "sparring.terms.feature_matching:FeatureMatching",
    "lecam": "sparring.terms.lecam:LeCam",
    # penalties
    "gradient_penalty": "sparring.terms.gradient_penalty:GradientPenalty",
    "r1": "sparring.terms.r1:R1",
    "r2": "sparring.terms.r1:R2",
}
