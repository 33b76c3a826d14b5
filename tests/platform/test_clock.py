"""Beat sleeps between the tasks it sends."""

from __future__ import annotations

import time

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
