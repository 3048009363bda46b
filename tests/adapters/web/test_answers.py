"""Answers of the database: few at a time, kept in proportion to the time they took."""

import asyncio
from collections.abc import Callable
from threading import Barrier, Event, Lock

import pytest

from snapshots.adapters.web import answers as module
from snapshots.adapters.web.answers import AT_ONCE, MOST_KEPT, Answers
from snapshots.app.errors import StoreBusy

SECONDS = 20.0


class Counted:
    """A question that counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> int:
        """Return how often it was asked."""
        self.times += 1
        return self.times


def test_equal_questions_at_the_same_time_are_asked_once() -> None:
    """A page that many readers open at once costs one query."""
    question, answers = Counted(), Answers()

    async def ask() -> list[int]:
        return await asyncio.gather(*(answers.kept("same", question) for _ in range(50)))

    assert asyncio.run(ask()) == [1] * 50


def test_an_answer_is_kept_twenty_times_as_long_as_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its query takes at most a twentieth of the time, however often the page is loaded."""
    times = iter([0.0, 3.0, 3.0, 62.9, 62.9])
    monkeypatch.setattr(module, "monotonic", lambda: next(times))
    question, answers = Counted(), Answers()

    async def ask() -> list[int]:
        return [await answers.kept("same", question), await answers.kept("same", question)]

    assert asyncio.run(ask()) == [1, 1]


def test_an_old_answer_is_given_while_it_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first reader waits for a slow query."""
    monkeypatch.setattr(module, "LEAST_KEPT", 0.0)
    monkeypatch.setattr(module, "SHARE", 0)
    first, is_free = Counted(), Event()
    answers = Answers()

    async def ask() -> tuple[int, int]:
        await answers.kept("same", first)
        old = await answers.kept("same", lambda: is_free.wait(SECONDS) and 2)
        is_free.set()
        await answers.close()
        return old, await answers.kept("same", first)

    assert asyncio.run(ask()) == (1, 2)


def test_an_error_is_not_kept() -> None:
    """The next request asks again."""
    answers = Answers()

    def fail() -> int:
        raise StoreBusy("busy")

    async def ask() -> int:
        with pytest.raises(StoreBusy):
            await answers.kept("same", fail)
        return await answers.kept("same", lambda: 1)

    assert asyncio.run(ask()) == 1


def test_few_answers_are_kept() -> None:
    """Memory does not grow with the number of different filters; the latest ones stay."""
    question, answers = Counted(), Answers()

    async def ask() -> tuple[int, int]:
        for key in range(MOST_KEPT + 1):
            await answers.kept(key, question)
        return await answers.kept(MOST_KEPT, question), await answers.kept(0, question)

    assert asyncio.run(ask()) == (MOST_KEPT + 1, MOST_KEPT + 2)


def test_few_queries_run_at_a_time() -> None:
    """A loader is left processors and disk."""
    running, most, lock, all_run = 0, 0, Lock(), Barrier(AT_ONCE)

    def query() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        all_run.wait(SECONDS)
        with lock:
            running -= 1

    async def ask(answers: Answers) -> None:
        await asyncio.gather(*(answers.ask(query) for _ in range(3 * AT_ONCE)))

    asyncio.run(ask(Answers()))
    assert most == AT_ONCE


def blocked(scenario: Callable[[Answers, Event], object]) -> None:
    """Run a scenario while all threads wait for an event."""
    is_free = Event()

    async def run() -> None:
        answers = Answers()
        busy = [asyncio.create_task(answers.ask(lambda: is_free.wait(SECONDS))) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        try:
            await scenario(answers, is_free)  # type: ignore[misc]
        finally:
            is_free.set()
            await asyncio.gather(*busy)

    asyncio.run(run())


def test_more_queries_than_can_be_answered_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader gets a sentence at once, instead of waiting for a hundred others."""
    monkeypatch.setattr(module, "MOST_WAITING", 3)

    async def ask(answers: Answers, is_free: Event) -> None:
        waiting = [asyncio.create_task(answers.ask(lambda: 1)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreBusy, match="too many queries wait"):
            await answers.ask(lambda: 1)
        is_free.set()
        assert await asyncio.gather(*waiting) == [1, 1, 1]

    blocked(ask)


def test_closing_waits_for_no_long_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ends although a query runs on."""
    monkeypatch.setattr(module, "END_SECONDS", 0.0)

    async def close(answers: Answers, is_free: Event) -> None:
        pending = asyncio.create_task(answers.kept("slow", lambda: 1))
        await asyncio.sleep(0)
        await answers.close()
        assert not pending.done()
        is_free.set()
        await pending

    blocked(close)
