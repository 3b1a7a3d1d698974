"""Play one day between a venue and a robot, both QuickFIX engines, each a process of its own.

`python quickfix_peers.py venue|robot|robot-again FOLDER PORT`

The robot asks, the venue answers by its script and keeps its own account of what it did, in
`FOLDER/truth.json`.  After its last order the robot waits to be killed; the venue fills that order
while nobody listens.  `robot-again` goes on from the store on disk: the engines themselves find the
gap and repeat what is missing, and at last the robot asks for the whole day once more.

A step that others wait for leaves a file in FOLDER: `venue.up`, `robot.waits`, `venue.alone`,
`robot.done`.  `venue.stop` ends the venue.  TransactTime is scripted; the engines' own times are
those of the day.
"""

import json
import sys
import threading
import time
from decimal import Decimal
from importlib.metadata import files
from pathlib import Path

import quickfix as fix

WAIT_S = 20

SETTINGS = """
[DEFAULT]
ConnectionType={role}
FileStorePath={folder}/{name}.store
FileLogPath={folder}/{name}.log
StartTime={daybreak}
EndTime={daybreak}
HeartBtInt=30
ReconnectInterval=1
SocketAcceptPort={port}
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
SocketReuseAddress=Y
SocketNodelay=Y
ResetOnLogon=N
ResetOnLogout=N
ResetOnDisconnect=N
ValidateUserDefinedFields=N
{dictionary}

[SESSION]
BeginString=FIX.4.4
SenderCompID={name}
TargetCompID={other}
"""

STATUS = {"0": "NEW", "1": "PARTIALLY_FILLED", "2": "FILLED", "4": "CANCELED", "8": "REJECTED"}
BUY, SELL = "1", "2"


def settings(folder, name, other, role, port):
    """Return the engine's settings; its session ends twelve hours from now, not during the test."""
    here = [each.locate() for each in files("quickfix-ssl") or () if each.name == "FIX44.xml"]
    dictionary = f"UseDataDictionary=Y\nDataDictionary={here[0]}" if here else "UseDataDictionary=N"
    daybreak = time.strftime("%H:00:00", time.gmtime(time.time() + 12 * 3600))
    path = folder / f"{name}.cfg"
    path.write_text(
        SETTINGS.format(
            folder=folder, name=name, other=other, role=role, port=port, daybreak=daybreak,
            dictionary=dictionary,
        )
    )  # fmt: skip
    return fix.SessionSettings(str(path))


def a_message(msg_type, **fields):
    """Return a message; a field is named `_` and its tag, None is left out."""
    message = fix.Message()
    message.getHeader().setField(fix.StringField(35, msg_type))
    for name, value in fields.items():
        if value is not None:
            message.setField(fix.StringField(int(name[1:]), str(value)))
    return message


def field(message, tag):
    """Return a field of the body, None where it is missing."""
    if not message.isSetField(tag):
        return None
    found = fix.StringField(tag)
    message.getField(found)
    return found.getString()


def msg_type(message):
    found = fix.StringField(35)
    message.getHeader().getField(found)
    return found.getString()


class Clock:
    """A scripted time that moves a millisecond with every look."""

    def __init__(self, second):
        self.second = second
        self.looks = 0

    def now(self):
        self.looks += 1
        return f"20260313-07:00:{self.second:02}.{self.looks:03}"


class Peer(fix.Application):
    """What both engines have in common."""

    def __init__(self, folder, second):
        super().__init__()
        self.folder = folder
        self.clock = Clock(second)
        self.session = None

    def onCreate(self, session):
        self.session = session

    def onLogon(self, session):
        pass

    def onLogout(self, session):
        pass

    def toAdmin(self, message, session):
        pass

    def toApp(self, message, session):
        pass

    def fromAdmin(self, message, session):
        pass

    def fromApp(self, message, session):
        pass

    def send(self, message):
        fix.Session.sendToTarget(message, self.session)

    def leave(self, name, text=""):
        """Make a file whole at once, for others to find."""
        draft = self.folder / f"{name}.draft"
        draft.write_text(text)
        draft.rename(self.folder / name)


# ---- the venue


class VenueOrder:
    """One order as the venue keeps it."""

    def __init__(self, number, request):
        self.client_ids = [field(request, 11)]
        self.venue_id = f"V-{number}"
        self.symbol, self.side = field(request, 55), field(request, 54)
        self.qty, self.px = Decimal(field(request, 38)), field(request, 44)
        self.fills = {}  # exec id: (qty, px, fee)
        self.status = "0"

    @property
    def cum_qty(self):
        return sum((qty for qty, _, _ in self.fills.values()), Decimal(0))

    @property
    def avg_px(self):
        worth = sum((qty * px for qty, px, _ in self.fills.values()), Decimal(0))
        return worth / self.cum_qty if self.cum_qty else Decimal(0)

    def worked(self):
        """Return the status of an order that is worked or full."""
        return "2" if self.cum_qty == self.qty else "1" if self.cum_qty else "0"

    def account(self):
        return {
            "client_order_ids": self.client_ids,
            "venue_order_ids": [self.venue_id],
            "instrument_id": self.symbol,
            "side": {BUY: "BUY", SELL: "SELL"}[self.side],
            "order_qty": str(self.qty),
            "order_status": STATUS[self.status],
            "cum_qty": str(self.cum_qty),
            "avg_px": str(self.avg_px) if self.cum_qty else None,
            "fees": str(sum((fee for _, _, fee in self.fills.values()), Decimal(0))),
        }


class Venue(Peer):
    """Answers by script; the script goes by the client's order id."""

    def __init__(self, folder):
        super().__init__(folder, second=30)
        self.orders = []
        self.exec_count = 0

    def fromApp(self, message, session):
        kind, mine = msg_type(message), field(message, 11)
        if kind == "D":
            order = VenueOrder(len(self.orders) + 1, message)
            self.orders.append(order)
            self.open(order, mine)
            return
        order = next(each for each in self.orders if field(message, 41) in each.client_ids)
        if kind == "G":
            self.replace(order, mine, message)
        elif order.status == "2":
            self.refuse_cancel(order, mine, field(message, 41))
        else:
            self.cancel(order, mine)

    def onLogout(self, session):
        """The robot has gone; its last order is filled all the same."""
        resting = next((each for each in self.orders if each.client_ids == ["R-9"]), None)
        if resting is not None and resting.status == "0":
            self.trade(resting, "10", "102")
            self.trade(resting, "15", "102.5")
            self.leave("venue.alone")

    def open(self, order, mine):
        if mine == "R-7":
            order.status = "8"
            self.report(order, "8", _103="3", _58="too much for one day", _151="0")
            return
        self.report(order, "0")
        if mine == "R-1":
            self.trade(order, "40", "250.1", fee="1.20")
            self.trade(order, "60", "250", fee="1.80")
        elif mine == "R-2":
            self.trade(order, "10", "100")
        elif mine == "R-5":
            self.bust(order, self.trade(order, "30", "251"))
        elif mine == "R-6":
            self.correct(order, self.trade(order, "20", "7000"), "15", "6999.5")

    def report(self, order, exec_type, **more):
        self.exec_count += 1
        exec_id = f"E-{self.exec_count}"
        told = {
            "_37": order.venue_id, "_11": order.client_ids[-1], "_17": exec_id, "_150": exec_type,
            "_39": order.status, "_55": order.symbol, "_54": order.side, "_38": order.qty,
            "_40": "2", "_44": order.px, "_151": order.qty - order.cum_qty, "_14": order.cum_qty,
            "_6": f"{order.avg_px:.8f}", "_60": self.clock.now(),
        } | more  # fmt: skip
        self.send(a_message("8", **told))
        return exec_id

    def trade(self, order, qty, px, fee="0", status=None):
        order.fills[f"E-{self.exec_count + 1}"] = (Decimal(qty), Decimal(px), Decimal(fee))
        order.status = status or order.worked()
        fees = {"_12": fee, "_13": "3", "_479": "RUB"} if fee != "0" else {}
        return self.report(order, "F", _32=qty, _31=px, **fees)

    def bust(self, order, exec_id):
        del order.fills[exec_id]
        order.status = order.worked()
        self.report(order, "H", _19=exec_id, _32="30", _31="251")

    def correct(self, order, exec_id, qty, px):
        _, _, fee = order.fills.pop(exec_id)
        order.fills[f"E-{self.exec_count + 1}"] = (Decimal(qty), Decimal(px), fee)
        order.status = order.worked()
        self.report(order, "G", _19=exec_id, _32=qty, _31=px)

    def replace(self, order, mine, message):
        before = order.client_ids[-1]
        self.report(order, "E", _39="E", _11=mine, _41=before)
        order.client_ids.append(mine)
        order.qty, order.px = Decimal(field(message, 38)), field(message, 44)
        order.status = order.worked()
        self.report(order, "5", _41=before)
        self.trade(order, "20", "101")

    def cancel(self, order, mine):
        """Confirm a cancel; one more fill was on its way."""
        before = order.client_ids[-1]
        order.client_ids.append(mine)
        self.report(order, "6", _39="6", _41=before)
        self.trade(order, "5", "101", status="6")
        order.status = "4"
        self.report(order, "4", _41=before, _151="0")

    def refuse_cancel(self, order, mine, before):
        order.client_ids.append(mine)
        self.send(
            a_message(
                "9", _37=order.venue_id, _11=mine, _41=before, _39=order.status, _434="1",
                _102="0", _60=self.clock.now(),
            )
        )  # fmt: skip

    def truth(self):
        return json.dumps([order.account() for order in self.orders])


def run_venue(folder, port):
    venue = Venue(folder)
    configured = settings(folder, "VENUE", "ROBOT", "acceptor", port)
    stores, logs = fix.FileStoreFactory(configured), fix.FileLogFactory(configured)
    acceptor = fix.SocketAcceptor(venue, stores, configured, logs)
    acceptor.start()
    venue.leave("venue.up")
    wait_for(folder / "venue.stop")
    venue.leave("truth.json", venue.truth())
    acceptor.stop()


# ---- the robot


class Robot(Peer):
    """Asks, and counts what it is told, so that it knows when to go on."""

    def __init__(self, folder, second):
        super().__init__(folder, second)
        self.news = threading.Condition()
        self.logged_on = False
        self.told = []  # (client order id, exec type, or 9 of a refused cancel)
        self.echoes = set()

    def onLogon(self, session):
        with self.news:
            self.logged_on = True
            self.news.notify_all()

    def fromApp(self, message, session):
        with self.news:
            what = field(message, 150) if msg_type(message) == "8" else msg_type(message)
            self.told.append((field(message, 11), what))
            self.news.notify_all()

    def fromAdmin(self, message, session):
        with self.news:
            if msg_type(message) == "0":
                self.echoes.add(field(message, 112))
                self.news.notify_all()

    def until(self, holds):
        with self.news:
            if not self.news.wait_for(holds, WAIT_S):
                raise TimeoutError(f"the venue told no more than {self.told}")

    def order(self, mine, side, symbol, qty, px, *answers):
        """Send a new order and wait until it was answered so."""
        self.send(
            a_message(
                "D", _11=mine, _55=symbol, _54=side, _38=qty, _40="2", _44=px, _59="1", _21="1",
                _60=self.clock.now(),
            )
        )  # fmt: skip
        self.until_told(mine, answers)

    def request(self, kind, mine, before, side, symbol, *answers, **more):
        self.send(
            a_message(
                kind, _11=mine, _41=before, _55=symbol, _54=side, _60=self.clock.now(), **more
            )
        )
        self.until_told(mine, answers)

    def until_told(self, mine, answers):
        self.until(lambda: [what for who, what in self.told if who == mine] == list(answers))

    def first_day(self):
        self.until(lambda: self.logged_on)
        self.order("R-1", BUY, "SBER", "100", "250.5", "0", "F", "F")
        self.order("R-2", BUY, "GAZP", "50", "100", "0", "F")
        changed = {"_38": "80", "_40": "2", "_44": "101", "_21": "1"}
        self.request("G", "R-3", "R-2", BUY, "GAZP", "E", "5", "F", **changed)
        self.request("F", "R-4", "R-3", BUY, "GAZP", "6", "F", "4", _38="80")
        self.order("R-5", SELL, "SBER", "30", "251", "0", "F", "H")
        self.order("R-6", BUY, "LKOH", "20", "7000", "0", "F", "G")
        self.order("R-7", BUY, "SBER", "1000000", "250", "8")
        self.request("F", "R-8", "R-1", BUY, "SBER", "9", _38="100")
        self.order("R-9", SELL, "GAZP", "25", "102", "0")
        self.leave("robot.waits")
        time.sleep(3 * WAIT_S)  # until it is killed

    def again(self):
        """Learn what came in the meantime, trade on, and have the whole day repeated."""
        self.until(lambda: self.logged_on)
        self.until_told("R-9", ["F", "F"])
        self.order("R-10", BUY, "SBER", "5", "249", "0")
        self.send(a_message("2", _7="1", _16="0"))
        self.send(a_message("1", _112="did you repeat it all?"))
        self.until(lambda: "did you repeat it all?" in self.echoes)
        self.leave("robot.done")


def run_robot(folder, port, again):
    robot = Robot(folder, second=40 if again else 10)
    configured = settings(folder, "ROBOT", "VENUE", "initiator", port)
    stores, logs = fix.FileStoreFactory(configured), fix.FileLogFactory(configured)
    initiator = fix.SocketInitiator(robot, stores, configured, logs)
    initiator.start()
    if again:
        robot.again()
    else:
        robot.first_day()
    initiator.stop()


def wait_for(path):
    """Wait until a file is there."""
    end = time.monotonic() + 3 * WAIT_S
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"{path.name} did not come")
        time.sleep(0.02)


if __name__ == "__main__":
    role, folder, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if role == "venue":
        run_venue(folder, port)
    else:
        run_robot(folder, port, again=role == "robot-again")
