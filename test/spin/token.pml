/* SPDX-License-Identifier: MIT
 * Model of a group's token: src/chan/emit.c (notice, group_wait, group_unpark), read.c
 * (idles), room.c (chan_room), src/worker/turn.c (finish). Module A takes from a channel
 * and sends each message on to a channel with room for one; what finds none waits in A's
 * outbox, with the token at the full channel. Module B takes from there. A subscription of
 * A leaves meanwhile, which must not wait for room: B does nothing until that is settled.
 * Two workers run the activations.
 * Promises: a group has one token; nobody rests while a message or a notice waits.
 * PLANT_ names a mistake to be found. Source: ARCHITECTURE R4, R19. */
#ifndef N
#define N 2 /* messages */
#endif

byte in_a, in_b, consumed;      /* messages in the two channels; handled by B */
bool idle_a, idle_b;            /* the drainer wants a notice */
byte pending_a, pending_b;      /* notices */
byte tokens_a, tokens_b;        /* activations in a queue */
byte holders_a, holders_b;      /* workers in a turn */
bool waits;                     /* A's bit in the full channel's waiter word */
bool outbox;                    /* A's message that waits for room */
bool leaving, left;             /* A's other subscription: told to go; settled */

inline notice(pending, tokens)
{
    atomic {
        if
        :: pending == 0 -> pending++; tokens++
        :: else -> pending++
        fi
    }
}

/* publish: who is idle is told, by whoever clears the mark. */
inline tell(idle, pending, tokens, won)
{
    won = idle;
    if
    :: won -> atomic { won = idle; idle = false };
        if
        :: won -> notice(pending, tokens)
        :: else
        fi
    :: else
    fi;
    won = false
}

inline push_b(ok, won)
{
    atomic { ok = in_b == 0; in_b = 1 }
    if
    :: ok -> tell(idle_b, pending_b, tokens_b, won)
    :: else
    fi
}

proctype producer()
{
    bool won;

    in_a++;
    tell(idle_a, pending_a, tokens_a, won)
}

proctype leaver()
{
    bool won;

    leaving = true;
    notice(pending_a, tokens_a);
#ifndef PLANT_NO_UNPARK
    atomic { won = waits; waits = false }
    if
    :: won -> tokens_a++
    :: else
    fi
#endif
}

inline settle()
{
    atomic {
        if
        :: leaving -> left = true
        :: else
        fi
    }
}

inline finish(pending, tokens, seen)
{
    atomic {
        if
#ifndef PLANT_REMAINDER
        :: pending != seen -> pending = pending - seen; tokens++
#endif
        :: else -> pending = pending - seen
        fi
    }
}

/* Hands the token to the full channel, unless there is room or something new. */
inline wait_for_room(seen, ok)
{
    waits = true;
#ifdef PLANT_NO_SECOND_LOOK
    ok = false;
#else
    ok = in_b == 0;
#endif
#ifndef PLANT_NO_NOTICE
    if
    :: !ok -> ok = pending_a != seen
    :: else
    fi;
#endif
    if
    :: ok -> atomic { ok = waits; waits = false };
        if
        :: ok -> tokens_a++
        :: else
        fi
    :: else
    fi;
    ok = false
}

inline turn_a(seen, ok, won, blocked)
{
    seen = pending_a;
    blocked = false;
    if
    :: outbox -> push_b(ok, won); outbox = !ok; blocked = !ok
    :: else
    fi;
    settle();
    do
    :: outbox -> /* what was parked just now may find room at once */
        if
        :: blocked -> break
        :: else -> push_b(ok, won); outbox = !ok; blocked = !ok
        fi
    :: !outbox && in_a != 0 -> in_a--; push_b(ok, won); outbox = !ok
    :: !outbox && in_a == 0 ->
        idle_a = true;
        if
        :: in_a != 0 -> idle_a = false
        :: else -> break
        fi
    od;
    holders_a--;
    if
    :: blocked -> wait_for_room(seen, ok)
    :: else -> finish(pending_a, tokens_a, seen)
    fi;
    atomic { seen = 0; ok = false; blocked = false }
}

inline turn_b(seen, won)
{
    seen = pending_b;
    do
    :: in_b != 0 ->
#ifdef PLANT_TELL_FIRST
        atomic { won = waits; waits = false }
        if
        :: won -> tokens_a++
        :: else
        fi;
        atomic { in_b = 0; consumed++ }
#else
        atomic { in_b = 0; consumed++ }
        atomic { won = waits; waits = false } /* gmki_chan_room */
        if
        :: won -> tokens_a++
        :: else
        fi;
#endif
        won = false
    :: in_b == 0 ->
        idle_b = true;
        if
        :: in_b != 0 -> idle_b = false
        :: else -> break
        fi
    od;
    holders_b--;
    finish(pending_b, tokens_b, seen);
    seen = 0
}

proctype worker()
{
    byte seen; bool ok, won, blocked;

end_worker:
    do
    :: atomic { tokens_a != 0 -> tokens_a--; holders_a++; assert(holders_a == 1 && !waits) }
        turn_a(seen, ok, won, blocked)
    :: atomic { tokens_b != 0 && left -> tokens_b--; holders_b++; assert(holders_b == 1) }
        turn_b(seen, won)
    od
}

active proctype monitor()
{
    timeout;
    assert(consumed == N && !outbox && left);
    assert(pending_a == 0 && pending_b == 0)
}

init {
    byte i;

    atomic {
        idle_a = true;
        idle_b = true;
        i = 0;
        do
        :: i < N -> run producer(); i++
        :: else -> break
        od;
        run leaver();
        run worker();
        run worker()
    }
}
