// Clients at a constant rate, in an open loop: each request is due at its time, whatever became of
// those before it. One line for each:
//
//	due_unix_s duration_ms status backend id lateness_ms why
//
// Rules of this file
//  1. The duration runs from the moment the request was due. How late it was really begun, because
//     the machine was busy, is told beside it.
//  2. Nothing is ever tried again here. (net/http's client would quietly do so on a kept connection.)
//  3. status 0: no whole answer within the deadline; why says how it ended, or gives the balancer's reason.
//  4. Beside them all, a few requests a second go straight to a host that stays well (-reference);
//     their backend is "ref". What slows those is the machine, not the balancer.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type load struct {
	target   *url.URL
	method   string
	kept     bool
	sizes    []int
	patience time.Duration
	// Its requests carry no id, and so count nowhere as executed.
	anonymous bool

	lock sync.Mutex
	idle []*line
	out  *bufio.Writer
}

type line struct {
	net.Conn
	reader *bufio.Reader
}

func client(arguments []string) {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	rate := flags.Float64("rate", 100, "requests a second")
	seconds := flags.Float64("seconds", 10, "how long")
	patience := flags.Duration("timeout", time.Second, "a client's patience")
	method := flags.String("method", "GET", "method of all requests")
	kept := flags.Bool("keep", false, "keep connections")
	sizes := flags.String("bodies", "0", "sizes of request bodies, in turn")
	reference := flags.String("reference", "", "URL of a host that stays well")
	must(flags.Parse(arguments))
	l := load{method: *method, kept: *kept, patience: *patience, out: bufio.NewWriterSize(os.Stdout, 1<<16)}
	defer l.out.Flush()
	for _, word := range strings.Split(*sizes, ",") {
		size, err := strconv.Atoi(word)
		must(err)
		l.sizes = append(l.sizes, size)
	}
	var err error
	l.target, err = url.Parse(flags.Arg(0))
	must(err)
	var all sync.WaitGroup
	begin := time.Now()
	if *reference != "" {
		well := load{method: "GET", patience: *patience, anonymous: true}
		well.target, err = url.Parse(*reference)
		must(err)
		all.Add(1)
		go func() {
			defer all.Done()
			well.run(begin, 20, *seconds, func(result *result) { result.backend = "ref"; l.tell(result) })
		}()
	}
	l.run(begin, *rate, *seconds, l.tell)
	all.Wait()
}

type result struct {
	due      time.Time
	took     time.Duration
	late     time.Duration
	status   int
	backend  string
	id       int
	why      string
	reusable bool
}

func (l *load) run(begin time.Time, rate, seconds float64, tell func(*result)) {
	var all sync.WaitGroup
	for i := 0; i < int(rate*seconds); i++ {
		due := begin.Add(time.Duration(float64(i) / rate * 1e9))
		time.Sleep(time.Until(due))
		all.Add(1)
		go func(id int) {
			defer all.Done()
			r := &result{due: due, late: time.Since(due), backend: "-", id: id, why: "-"}
			if l.anonymous {
				r.id = -1
			}
			l.ask(r)
			r.took = time.Since(due)
			tell(r)
		}(i)
	}
	all.Wait()
}

func (l *load) tell(r *result) {
	l.lock.Lock()
	defer l.lock.Unlock()
	fmt.Fprintf(l.out, "%.4f %.2f %d %s %d %.1f %s\n", float64(r.due.UnixNano())/1e9,
		float64(r.took.Microseconds())/1000, r.status, r.backend, r.id, float64(r.late.Microseconds())/1000, r.why)
}

func (l *load) ask(r *result) {
	end := r.due.Add(l.patience)
	conn := l.take()
	if conn == nil {
		dialled, err := net.DialTimeout("tcp", l.target.Host, time.Until(end))
		if err != nil {
			r.why = "connect:" + words(err)
			return
		}
		conn = &line{Conn: dialled, reader: bufio.NewReader(dialled)}
	}
	conn.SetDeadline(end)
	l.exchange(conn, r)
	if r.reusable && l.kept {
		l.lock.Lock()
		l.idle = append(l.idle, conn)
		l.lock.Unlock()
	} else {
		conn.Close()
	}
}

// take answers the connection that was used last; one that its other end has closed meanwhile is
// no use to any client, and is dropped.
func (l *load) take() *line {
	l.lock.Lock()
	defer l.lock.Unlock()
	for n := len(l.idle); n > 0; n = len(l.idle) {
		conn := l.idle[n-1]
		l.idle = l.idle[:n-1]
		if conn.isQuiet() {
			return conn
		}
		conn.Close()
	}
	return nil
}

// size is how long the body of a request is.
func (l *load) size(id int) int {
	if id < 0 {
		return 0
	}
	return l.sizes[id%len(l.sizes)]
}

// isQuiet says whether the other end has neither closed the connection nor said anything on it.
func (conn *line) isQuiet() bool {
	raw, err := conn.Conn.(*net.TCPConn).SyscallConn()
	must(err)
	quiet := false
	raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN
	})
	return quiet
}

func (l *load) exchange(conn *line, r *result) {
	request, err := http.NewRequest(l.method, l.target.String(), nil)
	must(err)
	if r.id >= 0 {
		request.Header.Set("X-Probe-Id", fmt.Sprint(r.id))
	}
	if size := l.size(r.id); size > 0 {
		request.Body = io.NopCloser(bytes.NewReader(make([]byte, size)))
		request.ContentLength = int64(size)
	}
	if !l.kept {
		request.Close = true
	}
	if err := request.Write(conn); err != nil {
		r.why = "send:" + words(err)
		return
	}
	response, err := http.ReadResponse(conn.reader, request)
	if err != nil {
		r.why = "head:" + words(err)
		return
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		r.why = "body:" + words(err)
		r.backend = name(response)
		return
	}
	r.status = response.StatusCode
	r.backend = name(response)
	r.reusable = !response.Close
	if reason := response.Header.Get("X-Fairlead-Reason"); reason != "" {
		r.why = reason
	}
}

func name(response *http.Response) string {
	if name := response.Header.Get("X-Backend"); name != "" {
		return name
	}
	return "-"
}

// words is an error in one word.
func words(err error) string {
	var wait net.Error
	switch {
	case errors.As(err, &wait) && wait.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	}
	return strings.ReplaceAll(err.Error(), " ", "_")
}
