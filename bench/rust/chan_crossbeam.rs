// SPDX-License-Identifier: MIT

// crossbeam-channel: a bounded channel a link, a thread a stage. Its arguments name the rows.
use crossbeam_channel::{bounded, Receiver, Sender};
use std::arch::asm;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

const WHO: &str = "crossbeam bounded channel";
const CAP: usize = 1024;
const MSGS: u64 = 1_000_000;
const MSGS_1US: u64 = 200_000;
const STEPS: u32 = 920;
const FANOUT: usize = 3;
type Msg = [u64; 8];

fn wants(row: &str) -> bool {
    let mut args = std::env::args().skip(1).peekable();
    args.peek().is_none() || args.any(|a| a == row)
}

fn work(mut x: u64, steps: u32) {
    for _ in 0..steps {
        x = x
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        // Step by step: compilers know how to leap.
        unsafe { asm!("/* {0} */", inout(reg) x, options(nomem, nostack)) };
    }
    black_box(x);
}

fn ingest(out: &[Sender<Msg>], n: u64, steps: u32) {
    for i in 0..n {
        let mut m: Msg = [0; 8];
        m[0] = i;
        m[1] = 7 * i + 3;
        work(i, steps);
        for s in out {
            s.send(m).unwrap();
        }
    }
}

fn transform(input: Receiver<Msg>, out: Sender<Msg>, steps: u32) {
    for mut m in input {
        m[0] = 3 * m[0] + 1;
        m[1] += m[0];
        work(m[0], steps);
        out.send(m).unwrap();
    }
}

fn store(input: Receiver<Msg>, steps: u32) -> (u64, u64) {
    let mut s = (0u64, 0u64);
    for m in input {
        work(m[0], steps);
        s = (s.0.wrapping_add(m[0]), s.1.wrapping_add(m[1]));
    }
    s
}

fn print(row: &str, n: u64, t0: Instant) {
    let v = n as f64 / t0.elapsed().as_nanos() as f64 * 1e3;
    println!("{}\t{}\t{:.6}\tM msg/s", row, WHO, v);
}

fn pipeline(row: &str, n: u64, steps: u32) {
    if !wants(row) {
        return;
    }
    let t0 = Instant::now();
    let (sa, ra) = bounded(CAP);
    let (sb, rb) = bounded(CAP);
    let t1 = thread::spawn(move || transform(ra, sb, steps));
    let t2 = thread::spawn(move || store(rb, steps));
    ingest(&[sa], n, steps);
    t1.join().unwrap();
    let s = t2.join().unwrap();
    let k = n * (n - 1) / 2;
    assert!(s == (3 * k + n, 10 * k + 4 * n), "pipeline checksum");
    print(row, n, t0);
}

fn fanout() {
    if !wants("fanout") {
        return;
    }
    let t0 = Instant::now();
    let mut out = Vec::new();
    let mut threads = Vec::new();
    for _ in 0..FANOUT {
        let (s, r) = bounded(CAP);
        out.push(s);
        threads.push(thread::spawn(move || store(r, 0)));
    }
    ingest(&out, MSGS, 0);
    drop(out);
    let k = MSGS * (MSGS - 1) / 2;
    for t in threads {
        assert!(t.join().unwrap() == (k, 7 * k + 3 * MSGS), "fan-out checksum");
    }
    print("fanout", FANOUT as u64 * MSGS, t0);
}

fn main() {
    pipeline("pipeline", MSGS, 0);
    pipeline("pipeline-1us", MSGS_1US, STEPS);
    fanout();
}
