"""Beat sleeps between the tasks it sends."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from celery import Celery

from pacsweb.clock import Clock

RUNS = 4


def test_the_clock_does_not_ask_again_and_again_whether_it_is_time() -> None:
    application = Celery("clock", broker="memory://", set_as_current=False)
    application.conf.beat_schedule = {"often": {"task": "often", "schedule": 0.1}}
    clock = Clock(app=application)
    asked = 0
    while clock.schedule["often"].total_run_count < RUNS:
        pause = clock.tick()
        asked += 1
        if pause > 0:
            time.sleep(pause)
    # One to send it, one to see how long it is until the next, one for what rounding leaves.
    assert asked <= 3 * RUNS + 1


class _Told(Celery):
    """Its clock stands until it is set."""

    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


def test_a_system_clock_that_is_set_back_keeps_no_task_waiting() -> None:
    application = _Told("clock", broker="memory://", set_as_current=False)
    application.conf.beat_schedule = {
        "often": {"task": "often", "schedule": 2.0},
        "seldom": {"task": "seldom", "schedule": 3600.0},
    }
    clock = Clock(app=application)
    assert clock.tick() == 2.0
    application.moment -= timedelta(hours=1)
    assert clock.tick() == 2.0
    application.moment += timedelta(seconds=2)
    clock.tick()
    assert clock.schedule["often"].total_run_count == 1
