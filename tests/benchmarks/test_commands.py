import subprocess
import sys


def test_the_command_explains_itself() -> None:
    said = subprocess.run([sys.executable, "-m", "benchmarks", "--help"], capture_output=True, text=True, check=True)
    assert "--quick" in said.stdout
