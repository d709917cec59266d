"""Makes `network_formulas`, the formulas that the networks are held against, importable beside the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
