"""summary.py tells passed, failed and skipped tests apart, and takes nothing unknown for a pass."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

CASE = '<testcase name="{}" status="{}"><system-out>{}</system-out></testcase>'


class SummaryTest(unittest.TestCase):
    def summary(self, *cases):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as report:
            report.write("<testsuite>" + "".join(CASE.format(*case) for case in cases) + "</testsuite>")
            report.flush()
            script = pathlib.Path(__file__).with_name("summary.py")
            result = subprocess.run([sys.executable, "-B", script, report.name, "x"], capture_output=True, text=True)
            return result.stdout.strip(), result.stderr

    def test_every_status(self):
        counts, text = self.summary(("good", "run", ""), ("bad", "fail", "SKIPPED: a lie"), ("missing", "notrun", ""),
                                    ("skipped", "notrun", "warning:\n  SKIPPED: no data\n"), ("strange", "other", ""))
        self.assertEqual("1 3 1", counts)
        for line in ("FAILED: bad", "FAILED: missing: did not run", "SKIPPED: skipped: no data", "FAILED: strange"):
            self.assertIn(line, text)

    def test_no_report(self):
        script = pathlib.Path(__file__).with_name("summary.py")
        self.assertNotEqual(0, subprocess.run([sys.executable, "-B", script, "/none", "x"], capture_output=True).returncode)


if __name__ == "__main__":
    unittest.main()
