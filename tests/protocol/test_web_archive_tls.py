"""Calls to a DICOMweb archive over TLS: whom we trust, and peers that fall silent or trickle."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from apps.network import web_waiting
from apps.network.peer_errors import PeerUnreachable
from apps.network.web_archive import WebArchive
from apps.network.web_client import WebSession, ask
from tests.protocol.dimse.test_tls import Certificates

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"
BODY = bytes(range(250)) * 1200
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TOO_MUCH = HEAD.replace(b"300000", b"100000") + bytes(100_000) + b"HTTP/1.1 500 No\r\n\r\n"
ONCE = {
    "ragged": HEAD + BODY[:1000],
    "refuses": b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
}
# What comes first, what comes then again and again, and the pause between, in seconds.
ENDLESS = {
    "continues": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 0),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"X-More: 1\r\n" * 1000, 0),
    "rest": (CHUNKED, b"1\r\nx\r\n", 0.05),
    "trickles": (HEAD, b"x", 0.01),
}


class GivenUp(Exception):
    """Somebody has cancelled."""


class Peer:
    """A TLS server that does with each connection what `manner` says."""

    def __init__(self, certificates: Certificates) -> None:
        self.manner = "well"
        self.connections = 0
        self.before: tuple[str, ...] = ()
        self.over = threading.Event()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(
            certificates.path("archive.pem"), certificates.path("archive.key")
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.archive = WebArchive(
            name="far", url=f"https://localhost:{self._listener.getsockname()[1]}/base"
        )
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(plain, self.manner), daemon=True).start()

    def _answer(self, plain: socket.socket, manner: str) -> None:
        with plain:
            if manner == "no handshake":
                self.over.wait(60)
                return
            try:
                if manner == "pauses":
                    self._pause(plain)
                    return
                with self.context.wrap_socket(plain, server_side=True) as tls:
                    if manner == "reads nothing":
                        self.over.wait(60)
                    tls.recv(65536)
                    self._say(tls, manner)
            except OSError:
                return  # the other side hung up

    def _say(self, tls: ssl.SSLSocket, manner: str) -> None:
        if manner == "silent":
            self.over.wait(60)
        elif manner == "one by one":
            self._one_by_one(tls)
        elif manner == "says too much":
            self.connections += 1
            tls.sendall(TOO_MUCH)
            self.over.wait(5)
        elif manner in ENDLESS:
            start, more, pause = ENDLESS[manner]
            tls.sendall(start)
            while not self.over.wait(pause):
                tls.sendall(more)
        else:
            tls.sendall(ONCE.get(manner, HEAD + BODY))

    def _one_by_one(self, tls: ssl.SSLSocket) -> None:
        """Three answers, and then it has had enough, without a word."""
        self.connections += 1
        for number in range(3):
            for each in (*self.before, f"200 OK\r\nContent-Length: 1\r\n\r\n{number}"):
                tls.sendall(f"HTTP/1.1 {each}".encode())
                time.sleep(0.02 if self.before else 0)  # in a segment of its own
            if number < 2 and not tls.recv(65536):
                return

    def _pause(self, plain: socket.socket) -> None:
        """Answers with pauses in the middle of records of TLS."""
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(coming, going, server_side=True)

        def step(act: Callable[[], object]) -> None:
            while True:
                try:
                    act()
                except ssl.SSLWantReadError:
                    plain.sendall(going.read())
                    coming.write(plain.recv(65536))
                else:
                    return

        step(tls.do_handshake)
        step(lambda: tls.read(65536))
        tls.write(HEAD + BODY)
        sent = going.read()
        for start in range(0, len(sent), 70_001):
            plain.sendall(sent[start : start + 70_001])
            time.sleep(0.12)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.authority()
    made.issue("archive")
    made.issue("ours")
    made.authority("other")
    return made


@pytest.fixture
def peer(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    monkeypatch.setenv("SSL_CERT_FILE", certificates.path("ca.pem"))
    monkeypatch.setattr(web_waiting, "LOOK_SECONDS", 0.05)
    with closing(Peer(certificates)) as made:
        yield made


def body(peer: Peer, look: Callable[[], None] = lambda: None) -> bytes:
    much = iter([bytes(1 << 20)] * 64) if peer.manner == "reads nothing" else None
    method = "POST" if much else "GET"
    with closing(ask(peer.archive, method, "/studies", {}, much, look=look)) as answer:
        read = bytearray()
        while chunk := answer.read(1 << 20):
            read += chunk
        return bytes(read)


@pytest.mark.parametrize("manner", ["well", "pauses"])
def test_all_that_was_sent_is_read_whatever_pauses_there_are(peer: Peer, manner: str) -> None:
    peer.manner = manner
    assert body(peer) == BODY


def test_an_archive_that_nobody_vouches_for_is_not_spoken_to(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(PeerUnreachable, match=r"far cannot be reached \(its certificate is not"):
        body(peer)


def test_an_archive_is_checked_by_its_own_authorities_and_no_others(
    peer: Peer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that the system trusts, here the right one, do not count then."""
    trusted = {name: Path(certificates.path(name)).read_text() for name in ("ca.pem", "other.pem")}
    peer.archive.authorities = trusted["other.pem"]
    with pytest.raises(PeerUnreachable, match="its certificate is not accepted"):
        body(peer)
    monkeypatch.delenv("SSL_CERT_FILE")
    peer.archive.authorities = f"Ärzte {trusted['other.pem']}\n{trusted['ca.pem']}"
    assert body(peer) == BODY
    # One certificate may be trusted as it is; the host's name is looked at all the same.
    peer.archive.authorities = Path(certificates.path("archive.pem")).read_text()
    assert body(peer) == BODY
    peer.archive.url = peer.archive.url.replace("localhost", "127.0.0.1")
    with pytest.raises(PeerUnreachable, match="IP address mismatch"):
        body(peer)


def test_an_archive_that_wants_a_certificate_is_shown_that_of_dicom_over_tls(
    peer: Peer, certificates: Certificates, settings: Any
) -> None:
    peer.context.verify_mode = ssl.CERT_REQUIRED
    peer.context.load_verify_locations(certificates.path("ca.pem"))
    with pytest.raises(PeerUnreachable, match=r"wants to see a certificate|it hung up"):
        body(peer)
    peer.archive.shows_certificate = True
    with pytest.raises(PeerUnreachable, match="no certificate to show"):
        body(peer)
    settings.PACSWEB = replace(
        settings.PACSWEB,
        dicom_tls_certificate=certificates.path("ours.pem"),
        dicom_tls_key=certificates.path("ours.key"),
    )
    assert body(peer) == BODY


HINTS = ("102 Processing\r\n\r\n", "103 Early Hints\r\nLink: x\r\nX-More: y\r\n\r\n")


@pytest.mark.parametrize("before", [(), HINTS, (*HINTS, "100 Continue\r\n\r\n", HINTS[0])])
def test_a_session_asks_on_one_connection_and_on_another_when_that_is_closed(
    peer: Peer, before: tuple[str, ...]
) -> None:
    """Each answer is that of its own request, whatever is said before it (RFC 9110 15.2)."""
    peer.manner, peer.before = "one by one", before
    with WebSession(peer.archive) as session:
        for number in (0, 1, 2, 0, 1, 2, 0):
            with closing(session.ask("GET", "/studies", {}, look=lambda: None)) as answer:
                assert answer.read(10) == str(number).encode()
    assert peer.connections == 3


def test_what_follows_an_answer_in_the_same_record_is_no_answer_to_the_next_request(
    peer: Peer,
) -> None:
    peer.manner = "says too much"
    with WebSession(peer.archive) as session:
        for _ in range(2):
            with closing(session.ask("GET", "/studies", {}, look=lambda: None)) as answer:
                assert len(answer.read(1 << 20)) > 0
                while answer.read(1 << 20):
                    pass
                assert answer.status == 200
    assert peer.connections == 2


def test_a_silent_address_leaves_time_for_the_next(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one of IPv6 that leads nowhere, before the one of IPv4 that works."""
    known = socket.getaddrinfo
    with full() as silent:
        ports = [urlsplit(url).port for url in (silent, peer.archive.url)]
        monkeypatch.setattr(web_waiting, "CONNECT_SECONDS", 0.6)
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda _host, _port, **how: [known("127.0.0.1", port, **how)[0] for port in ports],
        )
        assert body(peer) == BODY


def test_an_answer_that_breaks_off_without_farewell_is_no_whole_one(peer: Peer) -> None:
    peer.manner = "ragged"
    with pytest.raises(PeerUnreachable, match="the answer ended too early"):
        body(peer)


@pytest.mark.parametrize(
    "said", [("1", "2"), ("2", "1"), ("1, 2",), ("-1",), ("1_0",), ("one",), ("1", "")]
)
def test_an_answer_without_one_length_is_none(peer: Peer, said: tuple[str, ...]) -> None:
    """One reader would take the rest of it for the next answer, another one not."""
    ONCE["lengths"] = _answer_of(said)
    peer.manner = "lengths"
    with pytest.raises(PeerUnreachable, match="does not state one length of its answer"):
        body(peer)


@pytest.mark.parametrize("said", [("1", "1"), ("1, 1",)])
def test_the_same_length_twice_is_one(peer: Peer, said: tuple[str, ...]) -> None:
    ONCE["lengths"] = _answer_of(said)
    peer.manner = "lengths"
    with closing(ask(peer.archive, "GET", "/studies", {}, look=lambda: None)) as answer:
        assert (answer.headers["content-length"], answer.tells_its_end) == ("1", True)
        assert answer.read(10) == b"a"
    ONCE["lengths"] = CHUNKED[:-2] + b"Content-Length: 1\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    with closing(ask(peer.archive, "GET", "/studies", {}, look=lambda: None)) as answer:
        assert ("content-length" in answer.headers, answer.read(10)) == (False, b"ab")


def _answer_of(lengths: tuple[str, ...]) -> bytes:
    said = "".join(f"Content-Length: {each}\r\n" for each in lengths)
    return f"HTTP/1.1 200 OK\r\n{said}\r\nab".encode()


@pytest.mark.parametrize("manner", ["continues", "trailers"])
def test_headers_end_some_day(peer: Peer, manner: str) -> None:
    peer.manner = manner
    with pytest.raises(PeerUnreachable, match="headers"):
        body(peer)


def test_a_rest_that_trickles_is_not_waited_for(peer: Peer) -> None:
    peer.manner = "rest"
    with WebSession(peer.archive) as session:
        session.ask("GET", "/studies", {}, look=lambda: None).close()  # else without end


def test_an_answer_before_all_was_sent_is_read(peer: Peer) -> None:
    peer.manner = "refuses"
    # A reset of the connection may overtake the answer now and then.
    answers = (_refusal(peer) for _ in range(20))
    assert next(each for each in answers if each) == 413


def _refusal(peer: Peer) -> int:
    """The status that came before all was sent; 0 where it was lost."""
    much = iter([bytes(1 << 20)] * 64)
    try:
        with closing(ask(peer.archive, "POST", "/studies", {}, much, look=lambda: None)) as answer:
            return answer.status if next(much, None) else 0
    except PeerUnreachable:
        return 0


@pytest.mark.parametrize(
    "manner", ["silent", "trickles", "no handshake", "reads nothing", "takes no connection"]
)
def test_whoever_waits_for_a_slow_archive_can_give_up(peer: Peer, manner: str) -> None:
    peer.manner = manner
    until = time.monotonic() + 0.3

    def look() -> None:
        if time.monotonic() > until:
            raise GivenUp

    with ExitStack() as ends:
        if manner == "takes no connection":
            peer.archive.url = ends.enter_context(full())
        with pytest.raises(GivenUp):
            body(peer, look)


@contextmanager
def full() -> Iterator[str]:
    """Where as many wait to be accepted as there is room for: nobody else is answered."""
    with ExitStack() as ends:
        listener = ends.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            waiting = ends.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"https://localhost:{listener.getsockname()[1]}/base"


@pytest.mark.parametrize(
    ("manner", "constant", "words"),
    [
        ("silent", (web_waiting, "IDLE_SECONDS", 0.2), "nothing came for two minutes"),
        ("reads nothing", (web_waiting, "IDLE_SECONDS", 0.2), "it took nothing for two minutes"),
        ("trickles", (web_waiting, "_WINDOW_SECONDS", 0.1), "it sends next to nothing"),
        ("no handshake", (web_waiting, "CONNECT_SECONDS", 0.2), "no answer in time"),
    ],
)
def test_a_dead_archive_is_not_waited_for_for_ever(
    peer: Peer,
    monkeypatch: pytest.MonkeyPatch,
    manner: str,
    constant: tuple[object, str, float],
    words: str,
) -> None:
    monkeypatch.setattr(*constant)
    peer.manner = manner
    with pytest.raises(PeerUnreachable, match=words):
        body(peer)
