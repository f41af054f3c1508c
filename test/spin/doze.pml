/* SPDX-License-Identifier: MIT
 * Model of tasks for one worker: the inbox, the word `dozes` (gmki_wake_owner and gmki_park in
 * src/sched/idle.c, the sends in src/sched/enqueue.c), and shared work beside them.
 * Worker 0 owns the inbox; worker 1 never looks there. A sender publishes, reads `dozes`, and
 * looks at the idle word only if it is set. A sleep may end by itself, `nudges` times: a limit
 * of time, a wake that comes late.
 * Promises: all tasks run; the kernel does not look at rest while a task waits and no call
 * that publishes is under way.
 * PLANT_ names a mistake to be found. Source: ARCHITECTURE R3, R9. */
#ifndef W
#define W 2
#endif
#ifndef SENDERS
#define SENDERS 1
#endif
#include "idle.inc"

byte inbox, published; /* of worker 0; of everybody */
byte ran, inside;      /* inside: calls that publish, between that and their end */
bool dozes;            /* of worker 0 */
byte nudges = 1;

/* gmki_wake_worker of worker 0. */
inline wake_worker(m, s, c, won)
{
    atomic { m = mask; s = searching; c = checking }
    do
    :: atomic { (m & 1) != 0 ->
           won = (mask == m && searching == s && checking == c);
           if
           :: won -> mask = mask & ~1; searching++; break
           :: else -> m = mask; s = searching; c = checking
           fi
       }
    :: else -> break
    od;
    atomic {
        if
        :: won -> wakes[0]++
        :: else
        fi;
        m = 0; s = 0; c = 0; won = false /* fewer states */
    }
}

proctype sender()
{
    byte m, s, c; bool told, won;

#ifdef PLANT_READ_FIRST
    told = dozes;
    atomic { inbox++; inside++ }
#else
    atomic { inbox++; inside++ }
    told = dozes;
#endif
    if
    :: told -> wake_worker(m, s, c, won)
    :: else
    fi;
    inside--
}

proctype producer()
{
    byte m, s, c, w; bool won;

    atomic { published++; inside++ }
    wake_one(m, s, c, w, won);
    inside--
}

#define SEES_WORK (published > 0 || me == 0 && inbox > 0)

/* Runs a task if one is there; handlers end at once. */
inline take(found)
{
    found = SEES_WORK;
    if
    :: me == 0 && inbox > 0 -> inbox--; ran++
    :: else ->
        if
        :: published > 0 -> published--; ran++
        :: else
        fi
    fi
}

inline doze(value)
{
    if
    :: me == 0 -> dozes = value
    :: else
    fi
}

proctype worker(byte me)
{
    byte m, s, c, w, seen; bool won, found, rechecking;

end_work:
    do
    :: atomic {
           take(found);
           if
           :: found -> found = false; goto end_work
           :: else
           fi
       }
       searching++; /* gmki_search_begin */
       do
       :: atomic {
              take(found);
              if
              :: found -> found = false; break
              :: else
              fi
          }
          atomic { /* gmki_park */
              seen = wakes[me];
#if !defined(PLANT_DOZE_UNTOLD) && !defined(PLANT_DOZE_LATE)
              doze(true);
#endif
          }
          atomic { mask = mask | 1 << me; searching--; checking++; rechecking = true }
          found = published > 0; /* one queue after the other */
          if
          :: !found && me == 0 -> found = inbox > 0
          :: else
          fi;
#ifdef PLANT_DOZE_LATE
          atomic { doze(true) }
#endif
          if
          :: !found ->
              atomic { checking--; rechecking = false }
end_sleep:
              if
              :: wakes[me] != seen
              :: atomic { nudges > 0 -> nudges-- }
              fi
          :: else
          fi;
#ifdef PLANT_DOZE_ENDS_EARLY
          atomic { doze(false) }
#endif
          atomic { /* reclaim */
              if
              :: (mask >> me & 1) != 0 -> mask = mask & ~(1 << me); searching++
              :: else
              fi
          }
#ifndef PLANT_DOZE_ENDS_EARLY
          atomic { doze(false) }
#endif
          atomic {
              if
              :: rechecking -> checking--
              :: else
              fi;
              seen = 0; rechecking = false; found = false
          }
       od;
       atomic { /* gmki_search_end */
           m = (searching == 1 && mask != 0);
           searching--
       }
       if
       :: m != 0 && SEES_WORK -> wake_one(m, s, c, w, won)
       :: else -> m = 0
       fi
    od
}

/* gmki_all_parked, whoever asks. */
active proctype observer()
{
end_observer:
    atomic { mask == (1 << W) - 1 && searching == 0 && checking == 0 && inside == 0 &&
             published + inbox > 0 -> assert(false) }
}

/* Fires when nothing else can move. */
active proctype monitor()
{
    timeout;
    assert(ran == SENDERS + 1 && published == 0 && inbox == 0)
}

init {
    byte i;

    atomic {
        i = 0;
        do
        :: i < W -> run worker(i); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < SENDERS -> run sender(); i++
        :: else -> break
        od;
        run producer()
    }
}
