"""What fits depend on beside their input."""

from lifemiles_forecasting.core import software as software_module
from lifemiles_forecasting.core.software import software, versions


def test_software_is_our_code_and_what_it_computes_by(monkeypatch, tmp_path):
    versions.cache_clear()
    now = software()
    seen = {now}
    real = software_module.version
    for name in software_module.LIBRARIES:
        with monkeypatch.context() as patched:
            upgraded = {name: real(name) + "1"}

            def changed(one, new=upgraded):
                return new.get(one) or real(one)

            patched.setattr(software_module, "version", changed)
            versions.cache_clear()
            seen.add(software())
    package = tmp_path / "core"
    (package / "candidates").mkdir(parents=True)
    for file in ("__init__.py", "candidates/ets.py"):
        (package / file).write_text("x = 1\n")
    for text in ("x = 1\n", "x = 2\n"):
        (package / "candidates" / "ets.py").write_text(text)
        with monkeypatch.context() as patched:
            patched.setattr(software_module.core, "__file__", str(package / "__init__.py"))
            versions.cache_clear()
            seen.add(software())
    assert len(seen) == 1 + len(software_module.LIBRARIES) + 2
    versions.cache_clear()
    assert software() == now
