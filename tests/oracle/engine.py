"""Runs the engine through tests/oracle/driver.c: a case in, arrays out."""
import json
import os
import subprocess
import tempfile

import safetensors

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class EngineError(Exception):
    """The driver refused a case or died."""


class Engine:
    """`isa`: what oneDNN may use at most (DNNL_MAX_CPU_ISA), None for all that the CPU has."""

    def __init__(self, driver, isa=None, threads=2):
        self.driver = os.path.abspath(driver)
        self.isa = isa
        self.environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE")
        if isa:
            self.environment["DNNL_MAX_CPU_ISA"] = isa
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = tempfile.TemporaryDirectory(prefix="thaw-oracle-", dir=memory)

    def close(self):
        self.folder.cleanup()

    def run(self, case, tensors):
        """The driver's OUT tensors (driver.c says which), and the plan as text."""
        spec, given, made = (os.path.join(self.folder.name, name)
                             for name in ("case.json", "in.safetensors", "out.safetensors"))
        with open(spec, "w", encoding="utf-8") as file:
            json.dump(case, file)
        safetensors.save(given, tensors)
        if os.path.exists(made):
            os.unlink(made)
        done = subprocess.run([self.driver, spec, given, made], env=self.environment, text=True,
                              capture_output=True, timeout=300, check=False)
        if done.returncode != 0:
            raise EngineError(f"exit {done.returncode}: {done.stderr.strip()[:600]}")
        return safetensors.load(made)[0], done.stdout
