from types import SimpleNamespace

import budget
import pytest


def spend(judge, name, *seconds, mark="call"):
    """A test whose set-up, call and tear-down took these seconds."""
    for part in seconds:
        report = SimpleNamespace(nodeid=name, user_properties=[("cpu", part)], keywords={mark: 1})
        judge.pytest_runtest_logreport(report)


def test_a_test_above_its_budget_is_named():
    judge = budget.Budget()
    spend(judge, "cheap", budget.ONE_TEST - 1)
    assert not list(judge.excesses())
    spend(judge, "dear", budget.ONE_TEST / 2, budget.ONE_TEST / 2, 1)
    (said,) = judge.excesses()
    assert said.startswith("dear takes")


def test_many_cheap_tests_are_dear_together():
    judge = budget.Budget()
    for i in range(100):
        spend(judge, f"test {i}", budget.ALL_TESTS / 99)
    (said,) = judge.excesses()
    assert said.startswith("all tests take")


@pytest.mark.parametrize("mark", budget.DEAR)
def test_those_that_are_marked_have_none(mark):
    judge = budget.Budget()
    spend(judge, "long", 10 * budget.ALL_TESTS, mark=mark)
    assert not list(judge.excesses())


@pytest.mark.parametrize(("ci", "status"), [("true", pytest.ExitCode.TESTS_FAILED), (None, pytest.ExitCode.OK)])
def test_it_is_held_in_ci_only(monkeypatch, ci, status):
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    judge = budget.Budget()
    spend(judge, "dear", budget.ONE_TEST + 1)
    session = SimpleNamespace(config=SimpleNamespace(), exitstatus=pytest.ExitCode.OK)
    judge.pytest_sessionfinish(session)
    assert session.exitstatus == status
