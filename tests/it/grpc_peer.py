"""A server and a client of gRPC by grpcio, with bytes for messages: no generated code is needed.

    grpc_peer.py serve                 prints the port that it listens on, and serves until its input ends
    grpc_peer.py call TARGET KIND      makes calls through TARGET, and prints "ok"
"""

import sys
import threading
from concurrent import futures

import grpc

PATIENCE = 20
ended = threading.Event()


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        kinds = {
            "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "/test.Echo/Collect": grpc.stream_unary_rpc_method_handler(self.collect),
            "/test.Echo/Spread": grpc.unary_stream_rpc_method_handler(self.spread),
            "/test.Echo/Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "/test.Echo/Never": grpc.unary_unary_rpc_method_handler(self.never),
            "/test.Echo/Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }
        return kinds.get(details.method)

    def unary(self, request, context):
        told = dict(context.invocation_metadata())
        context.set_trailing_metadata((("x-seen", told.get("x-mine", "")), ("x-bin", b"\x00\xff")))
        return request

    def collect(self, requests, context):
        return b"".join(requests)

    def spread(self, request, context):
        for n in range(5):
            yield request * (n + 1)

    def chat(self, requests, context):
        for request in requests:
            yield request[::-1]

    def never(self, request, context):
        # Without a deadline passed on, it would be None.
        assert context.time_remaining() < PATIENCE + 1
        ended.wait(PATIENCE)
        return b""

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "50 % of it \u201cfailed\u201d")


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((Echo(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    ended.set()
    server.stop(None)


def patterns(channel):
    """All four kinds of call, one after the other and at once; metadata, trailers and errors with them."""
    unary = channel.unary_unary("/test.Echo/Unary")
    answer, call = unary.with_call(b"hello", timeout=PATIENCE, metadata=(("x-mine", "7"),))
    trailers = dict(call.trailing_metadata())
    assert answer == b"hello" and trailers["x-seen"] == "7" and trailers["x-bin"] == b"\x00\xff", trailers
    large = b"x" * 1_000_000
    assert unary(large, timeout=PATIENCE) == large
    assert [f.result() for f in [unary.future(b"%d" % n, timeout=PATIENCE) for n in range(50)]] == [
        b"%d" % n for n in range(50)
    ]
    collect = channel.stream_unary("/test.Echo/Collect")
    assert collect(iter([b"a", b"b", b"c" * 300_000]), timeout=PATIENCE) == b"ab" + b"c" * 300_000
    spread = channel.unary_stream("/test.Echo/Spread")
    assert list(spread(b"ab", timeout=PATIENCE)) == [b"ab" * n for n in range(1, 6)]

    # Each message is sent only once the one before it is answered: nothing on the way may hold any back.
    answered = threading.Semaphore(1)

    def asked():
        for n in range(5):
            assert answered.acquire(timeout=PATIENCE)
            yield b"message %d" % n

    for n, answer in enumerate(channel.stream_stream("/test.Echo/Chat")(asked(), timeout=PATIENCE)):
        assert answer == (b"message %d" % n)[::-1]
        answered.release()

    error = failure(channel, "/test.Echo/Fail")
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
    assert error.details() == "50 % of it \u201cfailed\u201d", error
    error = failure(channel, "/test.Echo/Nothing")
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error


def deadline(channel):
    """The client's deadline ends a call."""
    error = failure(channel, "/test.Echo/Never", timeout=0.5)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error


def total(channel):
    """weir's own bound on a call ends one whose client would wait for longer, in gRPC's words."""
    error = failure(channel, "/test.Echo/Never", timeout=PATIENCE)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    assert error.details() == "The site did not answer in time.", error


def limit(channel):
    """The second call is over a limit, and is told when to come back."""
    unary = channel.unary_unary("/test.Echo/Unary")
    assert unary(b"one", timeout=PATIENCE) == b"one"
    error = failure(channel, "/test.Echo/Unary")
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert error.details().startswith("The limit \u201ccalls\u201d is used up"), error
    metadata = dict((error.initial_metadata() or ()) + (error.trailing_metadata() or ()))
    assert 0 < int(metadata["grpc-retry-pushback-ms"]) <= 3_600_000, metadata


def outage(channel):
    """Nobody listens behind weir."""
    error = failure(channel, "/test.Echo/Unary")
    assert error.code() == grpc.StatusCode.UNAVAILABLE, error


def failure(channel, method, timeout=PATIENCE):
    try:
        channel.unary_unary(method)(b"x", timeout=timeout)
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"{method} succeeded")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        with grpc.insecure_channel(sys.argv[2]) as channel:
            globals()[sys.argv[3]](channel)
        print("ok")
