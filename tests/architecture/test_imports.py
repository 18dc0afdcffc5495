"""Services meet only in the libraries. (`make imports` checks the finer contracts of .importlinter.)"""

import pytest

from tests.architecture.sources import LIBRARIES, SERVICES, imported_packages, package_modules


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_no_other_service(service: str) -> None:
    others = {*SERVICES, "tandem_local"} - {service}
    modules = package_modules(service)
    assert modules, f"no modules found for {service}"
    assert {str(m): found for m in modules if (found := imported_packages(m) & others)} == {}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_imports_no_service(library: str) -> None:
    modules = package_modules(library)
    assert modules, f"no modules found for {library}"
    assert {
        str(m): found for m in modules if (found := imported_packages(m) & {*SERVICES, "tandem_local"})
    } == {}


@pytest.mark.parametrize("package", ["tandem_chat", "tandem_feedback", *LIBRARIES])
def test_nobody_but_inference_imports_the_engine(package: str) -> None:
    engine = {"vllm", "torch", "transformers"}
    assert {str(m): found for m in package_modules(package) if (found := imported_packages(m) & engine)} == {}
