"""Each lint finds what it is for, and accepts what is right. Runs them on small trees."""
import importlib
import pathlib
import tempfile
import unittest

README = "| name | type |\n|---|---|\n| `hone_a_total` | counter |\n| `hone_<part>_b_total` | counter |\n"
GOOD = {
    "kernels/CMakeLists.txt": "hone_library(kernels SRCS k.cc)\n",
    "libs/base/CMakeLists.txt": "hone_library(base SRCS a.cc)\n",
    "libs/base/a.cc": "int a;\n",
    "libs/telemetry/CMakeLists.txt": "hone_library(telemetry SRCS t.cc DEPS hone::base)\n",
    "libs/telemetry/t.cc": '#include "libs/base/a.h"\nx("hone_a_total");\ny("hone_", p, "_b_total");\n',
    "libs/telemetry/README.md": README,
    "tests/base/CMakeLists.txt": "hone_test(base_test SRCS a_test.cc DEPS hone::base)\n",
    "tests/base/a_test.cc": "int t;\n",
    "tests/lint/large_files.txt": "# none\n",
    "proto/hone/x.proto": "// What x is for.\n\n// S.\nservice S {\n  // R.\n  rpc R(RRequest) returns (RResponse);\n"
                     "  rpc Q(RRequest) returns (RResponse);\n}\nenum BigState {  // of x\n  BIG_STATE_UNSPECIFIED = 0;\n  BIG_STATE_ON = 1;\n}\n"
                     "message RRequest {\n  int32 a = 1;\n}\n",
}


def run(lint, changes):
    """What the lint finds in the good tree with `changes` (path -> text)."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**GOOD, **changes}.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return importlib.import_module(f"check_{lint}").check(pathlib.Path(folder))


class LintTest(unittest.TestCase):
    def accepts(self, lint, changes=None):
        self.assertEqual([], run(lint, changes or {}))

    def finds(self, lint, changes, message):
        self.assertIn(message, "\n".join(run(lint, changes)))

    def test_good_tree(self):
        for lint in ("dashboards", "includes", "metrics", "protos", "sizes", "tree"):
            with self.subTest(lint):
                self.accepts(lint)

    def test_includes(self):
        self.finds("includes", {"libs/base/a.cc": '#include "libs/telemetry/t.h"\n'}, "libs/base/a.cc includes telemetry")
        self.finds("includes", {"libs/base/a.cc": '#include "services/x/y.h"\n'}, "includes services/x")
        service = {"services/a/CMakeLists.txt": "hone_service(a SRCS a.cc)\n", "services/b/b.cc": '#include "services/a/a.h"\n'}
        self.finds("includes", {**service, "services/b/CMakeLists.txt": "hone_service(b SRCS b.cc)\n"}, "includes a_service")
        self.accepts("includes", {**service, "services/b/CMakeLists.txt": "hone_service(b SRCS b.cc DEPS hone::a_service)\n"})
        self.finds("includes", {"libs/base/CMakeLists.txt": "hone_library(base SRCS a.cc DEPS hone::telemetry)\n"}, "depend on each other")
        inner = {"libs/base/in/CMakeLists.txt": "hone_library(base_in SRCS b.cc DEPS hone::base)\n", "libs/base/in/b.cc": '#include "libs/base/a.h"\n'}
        self.accepts("includes", inner)
        self.finds("includes", {**inner, "libs/base/in/b.cc": '#include "libs/telemetry/t.h"\n'}, "libs/base/in/b.cc includes telemetry")
        self.finds("includes", {**inner, "libs/base/a.cc": '#include "libs/base/in/b.h"\n'}, "libs/base/a.cc includes base_in")

    def test_sizes(self):
        self.finds("sizes", {"libs/base/a.cc": "\n" * 401}, "401 lines")
        self.accepts("sizes", {"libs/base/a.cc": "\n" * 400})
        listed = {"tests/lint/large_files.txt": "libs/base/a.cc one table\n"}
        self.accepts("sizes", {"libs/base/a.cc": "\n" * 600, **listed})
        self.finds("sizes", {"libs/base/a.cc": "\n" * 601, **listed}, "at most 600")
        self.finds("sizes", listed, "is not large")
        self.finds("sizes", {"libs/base/a.cc": "\n" * 500, "tests/lint/large_files.txt": "libs/base/a.cc\n"}, "no reason")

    def test_tree(self):
        self.finds("tree", {"libs/utils/a.h": ""}, "name it after what it holds")
        self.finds("tree", {"libs/base/common.h": ""}, "name it after what it holds")
        self.accepts("tree", {"libs/base/commonplace.h": ""})
        self.finds("tree", {"tests/base/CMakeLists.txt": "# hone_test(base_test SRCS a_test.cc)\n"}, "commented out")
        self.finds("tree", {"tests/base/b_test.cc": ""}, "tests/base/b_test.cc is not built")
        self.finds("tree", {"libs/base/a.cc": "// TO" + "DO: later\n"}, "do it now")
        for header, good, bad in [("catch2/catch.hpp", "tests/testing/t.h", "tests/base/a_test.cc"),
                                  ("grpcpp/server.h", "libs/rpc/s.h", "libs/base/a.cc"),
                                  ("rocksdb/db.h", "libs/buffer/s.cc", "libs/buffer/s.h"),
                                  ("cuda_runtime.h", "kernels/cuda/k.cu", "kernels/cpu/k.cc")]:
            self.accepts("tree", {good: f"#include <{header}>\n"})
            self.finds("tree", {bad: f'#include "{header}"\n'}, f"{bad} includes {header}")

    def test_metrics(self):
        self.finds("metrics", {"libs/base/a.cc": 'x("hone_new_total");\n'}, "hone_new_total is not in the table")
        self.finds("metrics", {"libs/base/a.cc": 'x("hone_new_", y);\n'}, "hone_new_ is not in the table")
        self.accepts("metrics", {"libs/base/a.cc": '// x("hone_new_total");\n'})
        self.finds("metrics", {"libs/telemetry/README.md": README + "| `hone_c` | gauge |\n"}, "hone_c is not in the code")
        self.finds("metrics", {"libs/telemetry/README.md": README + "| `hone_a_total` | counter |\n"}, "twice")
        self.accepts("metrics", {"deploy/x.json": '"expr": "rate(hone_a_total[5m]) / hone_z_b_total"'})
        self.finds("metrics", {"deploy/x.json": '"expr": "hone_a"'}, "deploy/x.json: hone_a is not a metric")

    def test_dashboards(self):
        source = '{"type": "prometheus", "uid": "${datasource}"}'
        board = """{"uid": "b", "id": null, "editable": false, "templating": {"list": [{"name": "datasource"}, {"name": "job"}]},
          "panels": [{"id": 1, "type": "stat", "title": "T", "description": "D", "datasource": SRC, "gridPos": {"x": 0, "y": 0, "w": 12, "h": 4},
            "fieldConfig": {"defaults": {"unit": "s"}}, "targets": [{"datasource": SRC, "expr": "rate(a{job=~\\"$job\\"}[$__rate_interval])"}]}]}
          """.replace("SRC", source)
        name = "deploy/grafana/dashboards/b.json"
        self.accepts("dashboards", {name: board})
        for old, new, message in [("$__rate_interval", "5m", "a range that is not"), ('"unit": "s"', '"unit": ""', "a description or a unit"),
                                  ("$job", "$jobs", "no variable jobs"), ('"x": 0', '"x": 13', "24 columns"), ('"id": null', '"id": 3', "no id")]:
            self.finds("dashboards", {name: board.replace(old, new)}, message)

    def test_protos(self):
        self.finds("protos", {"proto/hone/y.proto": "message M {\n}\n"}, "nothing says what the file is for")
        self.finds("protos", {"proto/hone/y.proto": "// Y.\n\nmessage M {\n  int32 a = 1;\n}\n"}, "message M has no comment")
        self.finds("protos", {"proto/hone/y.proto": "// Y.\n\nservice S {\n}\n"}, "service S has no comment")
        self.finds("protos", {"proto/hone/y.proto": "// Y.\n\n// S.\nservice S {\n\n  rpc R(A) returns (B);\n}\n"}, "rpc R has no comment")
        self.finds("protos", {"proto/hone/y.proto": "// Y.\n// E.\nenum E {\n  E_ON = 0;\n}\n"}, "does not begin with E_UNSPECIFIED")
        self.finds("protos", {"proto/hone/y.proto": "// Y.\n// E.\nenum E {\n  E_UNSPECIFIED = 0;\n  ON = 1;\n}\n"}, "ON does not begin with E_")


if __name__ == "__main__":
    unittest.main()
