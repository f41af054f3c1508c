/* SPDX-License-Identifier: MIT
 * Model of parking: src/sched/idle.c and the order of steps around it.
 * Two or three workers, as many tasks from producers; a task holds its worker until all
 * tasks have begun, so that work that waits beside a sleeper is a deadlock. One sleep of the
 * first worker may end without a reason. Every step of the idle word is one
 * read-modify-write, as in the code; between two steps anything may happen.
 * Promises: all tasks begin; the kernel does not look at rest while work is published
 * and no call that publishes is under way.
 * PLANT_ names a mistake to be found. Source: ARCHITECTURE R9. */
#ifndef W
#define W 2
#endif
#include "idle.inc"

byte published;            /* in queues that everybody sees */
byte begun, inside; /* inside: producers between publishing and the end of their call */
bool at_rest; /* somebody saw the full mask and nothing else, though work was there */

proctype producer()
{
    byte m, s, c, w; bool won;

    atomic { published++; inside++ }
#ifndef PLANT_NO_WAKE
    wake_one(m, s, c, w, won);
#endif
    inside--
}

/* Takes a task if one is there. */
inline take(found)
{
    atomic {
        found = published > 0;
        if
        :: found -> published--; begun++
        :: else
        fi
    }
}

proctype worker(byte me)
{
    byte m, s, c, w, seen, was, looks = me == 0; bool won, found, rechecking;

end_work:
    do
    :: take(found);
        if
        :: found -> goto handle
        :: else
        fi;
        searching++; /* gmki_search_begin */
search:
        do
        :: take(found);
            if
            :: found -> break
            :: else
            fi;
            seen = wakes[me]; /* gmki_park */
#ifdef PLANT_LOOK_FIRST
            found = published > 0;
#endif
#ifdef PLANT_NO_CHECKING
            atomic { mask = mask | 1 << me; searching-- }
#else
            atomic { mask = mask | 1 << me; searching--; checking++ }
#endif
            rechecking = true;
#ifndef PLANT_LOOK_FIRST
#ifdef PLANT_NO_RECHECK
            found = false;
#else
            found = published > 0;
#endif
#endif
            if
            :: !found ->
#ifndef PLANT_NO_CHECKING
                checking--;
#endif
                rechecking = false;
                if
                :: atomic { mask == (1 << W) - 1 && searching == 0 && checking == 0 ->
                       at_rest = (published > 0 && inside == 0) }
                :: else
                fi;
                assert(!at_rest);
end_sleep:
                do /* doze: who wakes without a reason sleeps on */
                :: atomic { wakes[me] != seen || looks > 0 ->
                       if
                       :: wakes[me] == seen -> looks--
                       :: else
                       fi
                   }
#ifndef PLANT_WORD_LATE
                   seen = wakes[me];
#endif
                   found = (mask >> me & 1) == 0;
                   if
                   :: found -> break
                   :: else -> found = published > 0
                   fi;
#ifdef PLANT_WORD_LATE
                   seen = wakes[me];
#endif
                   if
                   :: found -> break
                   :: else
                   fi
                od
            :: else
            fi;
            atomic { /* reclaim */
                if
                :: (mask >> me & 1) != 0 -> mask = mask & ~(1 << me); searching++
                :: else
                fi
            }
            if
#ifndef PLANT_NO_CHECKING
            :: rechecking -> checking--
#endif
            :: else
            fi;
            atomic { seen = 0; rechecking = false }
        od;
        atomic { was = searching; searching--; m = mask } /* gmki_search_end */
#ifndef PLANT_NO_HANDOVER
        if
        :: was == 1 && m != 0 && published > 0 -> wake_one(m, s, c, w, won)
        :: else
        fi;
#endif
        atomic { m = 0; was = 0 };
handle:
end_handle:
        begun == W /* the handler */
    od
}

/* Fires when nothing else can move. */
active proctype monitor()
{
    timeout;
    assert(begun == W && published == 0)
}

init {
    byte i;

    atomic {
        i = 0;
        do
        :: i < W -> run worker(i); run producer(); i++
        :: else -> break
        od
    }
}
