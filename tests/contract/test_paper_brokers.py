"""The paper broker keeps the contract, in its own process and over HTTP."""

from decimal import Decimal

import pytest
from attrs import evolve

from brokers.paper_builders import SHARE, STILL
from contract.broker_suite import Bench, BrokerSuite, Ear
from fillbook.brokers.paper_live import PaperBroker
from fillbook.brokers.paper_server import PaperServer

SETTINGS = {"listings": [evolve(SHARE, level_steps=100)], "pace_ns": STILL}
"""A market that stands still, with up to 100 at 99 and at 101."""


def a_bench(broker: PaperBroker) -> Bench:
    ear = Ear()
    broker.connect(ear)
    return Bench(
        broker=broker,
        ear=ear,
        instrument_id="SHARE",
        qty=Decimal(2),
        rests_px=Decimal(90),
        fills_px=Decimal(101),
        bad_qty=Decimal("0.5"),
        have_moved=lambda qty: broker.transfer("SHARE", qty),
    )


class TestPaperBrokerInProcess(BrokerSuite):
    @pytest.fixture
    def bench(self):
        broker = PaperBroker(seed=1, **SETTINGS)
        yield a_bench(broker)
        broker.close()


class TestPaperBrokerOverHttp(BrokerSuite):
    @pytest.fixture
    def bench(self):
        server = PaperServer(PaperBroker(seed=1, **SETTINGS))
        broker = PaperBroker(url=server.url)
        try:
            server.start()
            yield a_bench(broker)
        finally:
            broker.close()
            server.close()
