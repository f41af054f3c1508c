// SPDX-License-Identifier: MIT

// Go peer: goroutines and channels, GOMAXPROCS=2. Its arguments name the rows to run.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tasks   = 1000000
	ringCap = 1024
	depth   = 19
	starts  = 400
	goro    = "Go goroutines"
	pool    = "Go channel and 2 goroutines"
)

type msg [8]uint64

var wg sync.WaitGroup

func wants(row string) bool {
	for _, a := range os.Args[1:] {
		if a == row {
			return true
		}
	}
	return len(os.Args) < 2
}

func result(row, who string, v float64, unit string) {
	fmt.Printf("%s\t%s\t%.6g\t%s\n", row, who, v, unit)
}

func must(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "FAILED:", what)
		os.Exit(3)
	}
}

func rate(n int, t0 time.Time) float64 {
	return float64(n) / float64(time.Since(t0).Nanoseconds()) * 1e3
}

func chain(n int) {
	if n > 1 {
		go chain(n - 1)
	} else {
		wg.Done()
	}
}

func tree(d int) {
	if d > 0 {
		go tree(d - 1)
		go tree(d - 1)
	}
	wg.Done()
}

func ring(row string, p, c int) {
	const n = 1 << 20
	if !wants(row) {
		return
	}
	ch := make(chan msg, ringCap)
	sums := make(chan uint64, c)
	t0 := time.Now()
	for k := 0; k < p; k++ {
		go func(base int) {
			for i := 0; i < n/p; i++ {
				var m msg
				for j := range m {
					m[j] = uint64(base + i + j)
				}
				ch <- m
			}
		}(k * n / p)
	}
	for k := 0; k < c; k++ {
		go func() {
			var s uint64
			for i := 0; i < n/c; i++ {
				m := <-ch
				s += m[0] + m[7]
			}
			sums <- s
		}()
	}
	var s uint64
	for k := 0; k < c; k++ {
		s += <-sums
	}
	must(s == n*(n-1)+7*n, "ring checksum")
	result(row, "Go buffered channel", rate(n, t0), "M items/s")
}

func submitGoroutines() {
	t0 := time.Now()
	wg.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() { wg.Done() }()
	}
	wg.Wait()
	result("submit", goro, rate(tasks, t0), "M tasks/s")
}

func submitPool() {
	q := make(chan func(), ringCap)
	var counts [2]struct {
		n uint64
		_ [120]byte
	}
	t0 := time.Now()
	wg.Add(2)
	for w := 0; w < 2; w++ {
		go func(w int) {
			for f := range q {
				f()
				counts[w].n++
			}
			wg.Done()
		}(w)
	}
	for i := 0; i < tasks; i++ {
		q <- func() {}
	}
	close(q)
	wg.Wait()
	must(counts[0].n+counts[1].n == tasks, "pool count")
	result("submit", pool, rate(tasks, t0), "M tasks/s")
}

func chainRow() {
	t0 := time.Now()
	wg.Add(1)
	go chain(tasks)
	wg.Wait()
	result("chain", goro, rate(tasks, t0), "M tasks/s")
}

func treeRow(row string, procs int) {
	if !wants(row) {
		return
	}
	runtime.GOMAXPROCS(procs)
	n := 1<<(depth+1) - 1
	t0 := time.Now()
	wg.Add(n)
	go tree(depth)
	wg.Wait()
	result(row, goro, rate(n, t0), "M tasks/s")
	runtime.GOMAXPROCS(2)
}

func startRow() {
	base := time.Now()
	l := make([]int64, starts)
	for i := range l {
		time.Sleep(300 * time.Microsecond)
		var at int64
		t := time.Since(base).Nanoseconds()
		go func() { atomic.StoreInt64(&at, time.Since(base).Nanoseconds()) }()
		for atomic.LoadInt64(&at) == 0 {
			runtime.Gosched()
		}
		l[i] = at - t
	}
	sort.Slice(l, func(i, j int) bool { return l[i] < l[j] })
	result("start", goro, float64(l[starts/2]), "ns")
}

func rttRow() {
	const n = 100000
	there, back := make(chan msg, 1), make(chan msg, 1)
	go func() {
		for m := range there {
			back <- m
		}
		close(back)
	}()
	t0 := time.Now()
	for i := 0; i < n; i++ {
		there <- msg{uint64(i)}
		m := <-back
		must(m[0] == uint64(i), "rtt echo")
	}
	d := time.Since(t0).Nanoseconds()
	close(there)
	result("rtt", "Go channel", float64(d)/n, "ns")
}

const (
	fanout  = 3
	msgs1us = 200000
	steps   = 920 // of four cycles; as in bench/src/chan.h
)

var sink [4]struct {
	x uint64
	_ [120]byte
}

func work(who int, x uint64, n int) {
	for i := 0; i < n; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	sink[who].x = x
}

func ingest(out []chan msg, n uint64, steps int) {
	for i := uint64(0); i < n; i++ {
		var m msg
		m[0] = i
		m[1] = 7*i + 3
		work(0, i, steps)
		for _, ch := range out {
			ch <- m
		}
	}
	for _, ch := range out {
		close(ch)
	}
}

type sums struct{ a, b uint64 }

func store(who int, in chan msg, fin chan sums, steps int) {
	var s sums
	for m := range in {
		work(who, m[0], steps)
		s.a += m[0]
		s.b += m[1]
	}
	fin <- s
}

func pipeline(row string, n uint64, steps int) {
	if !wants(row) {
		return
	}
	t0 := time.Now()
	a, b := make(chan msg, ringCap), make(chan msg, ringCap)
	fin := make(chan sums)
	go func() {
		for m := range a {
			m[0] = 3*m[0] + 1
			m[1] += m[0]
			work(1, m[0], steps)
			b <- m
		}
		close(b)
	}()
	go store(2, b, fin, steps)
	ingest([]chan msg{a}, n, steps)
	s := <-fin
	k := n * (n - 1) / 2
	must(s == sums{3*k + n, 10*k + 4*n}, "pipeline checksum")
	result(row, "Go buffered channel", rate(int(n), t0), "M msg/s")
}

func fanoutRow() {
	const n = uint64(tasks)
	const k = n * (n - 1) / 2
	if !wants("fanout") {
		return
	}
	t0 := time.Now()
	out := make([]chan msg, fanout)
	fin := make(chan sums)
	for c := range out {
		out[c] = make(chan msg, ringCap)
		go store(1+c, out[c], fin, 0)
	}
	ingest(out, n, 0)
	for range out {
		must(<-fin == sums{k, 7*k + 3*n}, "fan-out checksum")
	}
	result("fanout", "Go buffered channel", rate(fanout*int(n), t0), "M msg/s")
}

func main() {
	runtime.GOMAXPROCS(2)
	ring("mpmc-1p1c", 1, 1)
	ring("mpmc-2p2c", 2, 2)
	ring("mpmc-4p4c", 4, 4)
	if wants("submit") {
		submitGoroutines()
		submitPool()
	}
	if wants("chain") {
		chainRow()
	}
	treeRow("tree2", 2)
	treeRow("tree1", 1)
	if wants("start") {
		startRow()
	}
	if wants("rtt") {
		rttRow()
	}
	pipeline("pipeline", tasks, 0)
	pipeline("pipeline-1us", msgs1us, steps)
	fanoutRow()
}
