"""Limits the processor time of a test and of the suite, in seconds: in CI what is above fails.

Processor time, the children's included, not the clock's: how busy the machine is has no say.
"""

import os

import pytest

ONE_TEST = 60.0  # the dearest, two ranks, takes 20
ALL_TESTS = 450.0  # a quarter more than two cores have in three minutes: processors differ
DEAR = ("slow", "browser")  # marks of tests that have no budget


def spent():
    """Returns the processor time, in seconds, of this process and of those of its children that it has waited for."""
    return sum(os.times()[:4])


class Budget:
    """Adds up what each test takes, in whichever worker, and judges where CI is set."""

    def __init__(self):
        self.before = spent()
        self.seconds = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        now = spent()
        report.user_properties.append(("cpu", now - self.before))
        self.before = now
        return report

    def pytest_runtest_logreport(self, report):
        if not any(mark in report.keywords for mark in DEAR):
            cpu = dict(report.user_properties).get("cpu", 0.0)  # none of a worker that died
            self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + cpu

    def excesses(self):
        """Yields what is above the budget, a line each."""
        total = sum(self.seconds.values())
        if total > ALL_TESTS:
            yield f"all tests take {total:.0f} s of processor time, the budget is {ALL_TESTS:.0f} s"
        for name, seconds in self.seconds.items():
            if seconds > ONE_TEST:
                yield f"{name} takes {seconds:.0f} s of processor time, the budget is {ONE_TEST:.0f} s; mark it slow?"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        if "CI" in os.environ and not hasattr(session.config, "workerinput") and any(self.excesses()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if "CI" not in os.environ or not self.seconds:
            return
        terminalreporter.section("processor time")
        for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1])[:15]:
            terminalreporter.line(f"{seconds:7.1f} s  {name}")
        terminalreporter.line(f"{sum(self.seconds.values()):7.1f} s  in {len(self.seconds)} tests")
        for excess in self.excesses():
            terminalreporter.line(excess, red=True)
