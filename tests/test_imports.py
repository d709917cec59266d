"""`import sparring` and `sparring --help` import only what they need."""

import subprocess
import sys

HEAVY = ("torch", "numpy", "pydantic", "matplotlib", "scipy", "yaml", "importlib.metadata")
REPORT = "print(*[name for name in {} if name in sys.modules])"


def _loaded(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_import_sparring_imports_almost_nothing():
    assert _loaded(f"import sys, sparring\n{REPORT.format((*HEAVY, 'typer', 'rich', 'subprocess'))}") == []


def test_status_imports_only_what_reads_a_run():
    code = f"import sys, atexit\nsys.argv = ['sparring', 'status', 'nix']\natexit.register(lambda: {REPORT.format(HEAVY)})\n"
    code += "from sparring.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    assert _loaded(code) == ["pydantic", "yaml", "importlib.metadata"]


def test_help_imports_only_the_command_line():
    code = f"import sys, atexit\nsys.argv = ['sparring', '--help']\natexit.register(lambda: {REPORT.format(HEAVY)})\n"
    assert _loaded(code + "from sparring.cli import main\nmain()") == []
