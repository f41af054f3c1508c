// SPDX-License-Identifier: MIT
// ZeroMQ inproc: PUSH and PULL a link, a high-water mark of half the ring at each end; the
// fan-out is a PUSH socket a subscriber (PUB drops).
#include "chan.hpp"
#include <zmq.h>

static void *ctx;

struct Zmq {
    void *push, *pull;
    Zmq()
    {
        static int n;
        char addr[32];
        int hwm = BENCH_RING_CAP / 2;

        snprintf(addr, sizeof addr, "inproc://%d", n++);
        push = zmq_socket(ctx, ZMQ_PUSH);
        pull = zmq_socket(ctx, ZMQ_PULL);
        zmq_setsockopt(push, ZMQ_SNDHWM, &hwm, sizeof hwm);
        zmq_setsockopt(pull, ZMQ_RCVHWM, &hwm, sizeof hwm);
        must(zmq_bind(push, addr) == 0 && zmq_connect(pull, addr) == 0, addr);
    }
    ~Zmq()
    {
        zmq_close(push);
        zmq_close(pull);
    }
    unsigned put(const msg *m, unsigned)
    {
        must(zmq_send(push, m, sizeof *m, 0) == sizeof *m, "zmq_send");
        return 1;
    }
    unsigned get(msg *m, unsigned)
    {
        must(zmq_recv(pull, m, sizeof *m, 0) == sizeof *m, "zmq_recv");
        return 1;
    }
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    ctx = zmq_ctx_new();
    must(ctx != nullptr, "zmq_ctx_new");
    chan_rows<Zmq, 1>("ZeroMQ inproc PUSH/PULL");
    zmq_ctx_term(ctx);
    return 0;
}
