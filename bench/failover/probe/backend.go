// One host's application: answers 200 with its name, or misbehaves as told.
//
// Rules of this file
//  1. /healthz stays well in every mode but those that say otherwise.
//  2. A request counts as executed once its body has come whole, whatever becomes of the answer. Its
//     X-Probe-Id is written to LOG at once, in one write, so that a killed process loses nothing.
//  3. ?size=N makes the answer N bytes long.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type application struct {
	name  string
	mode  atomic.Value // string
	count atomic.Int64
	log   *os.File
	lock  sync.Mutex
	wake  *sync.Cond
	open  map[net.Conn]bool
}

func backend(name, address, path, log string) {
	app := &application{name: name, open: map[net.Conn]bool{}}
	app.wake = sync.NewCond(&app.lock)
	app.mode.Store("well")
	var err error
	app.log, err = os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(err)
	listener, err := net.Listen("tcp4", address)
	must(err)
	control(path, app.turn)
	server := &http.Server{Handler: app, ConnState: app.note}
	must(server.Serve(&gate{Listener: listener, app: app}))
}

// turn puts a mode in force:
//
//	well            as it should be
//	errors          every other answer is a 500
//	allerrors       every answer is a 503
//	late DURATION   answers come so much later
//	close           connections are closed as they are accepted, and those that are open at once
//	deaf            connections are no longer accepted: the kernel's queue fills
//	halfhead        half an answer's head, then silence
//	halfbody        a head and half a body, then silence
//	cut             a head and half a body, then the end
//	sick            only /healthz fails
func (app *application) turn(mode string) {
	app.lock.Lock()
	defer app.lock.Unlock()
	app.mode.Store(mode)
	if mode == "close" {
		for conn := range app.open {
			conn.Close()
		}
	}
	app.wake.Broadcast()
}

func (app *application) is(mode string) bool { return app.mode.Load().(string) == mode }

func (app *application) note(conn net.Conn, state http.ConnState) {
	app.lock.Lock()
	defer app.lock.Unlock()
	switch state {
	case http.StateNew:
		app.open[conn] = true
	case http.StateClosed, http.StateHijacked:
		delete(app.open, conn)
	}
}

// gate is the listener as the mode has it.
type gate struct {
	net.Listener
	app *application
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		g.app.lock.Lock()
		for g.app.is("deaf") {
			g.app.wake.Wait()
		}
		g.app.lock.Unlock()
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g.app.is("close") {
			conn.Close()
			continue
		}
		return conn, nil
	}
}

func (app *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mode := app.mode.Load().(string)
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	w.Header().Set("X-Backend", app.name)
	if r.URL.Path == "/healthz" {
		if mode == "sick" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, "well\n")
		return
	}
	if id := r.Header.Get("X-Probe-Id"); id != "" {
		fmt.Fprintln(app.log, id)
	}
	body := app.name + "\n"
	if size, _ := strconv.Atoi(r.URL.Query().Get("size")); size > len(body) {
		body += strings.Repeat("x", size-len(body))
	}
	switch verb, rest, _ := strings.Cut(mode, " "); verb {
	case "errors":
		if app.count.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	case "allerrors":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "late":
		pause, err := time.ParseDuration(rest)
		must(err)
		time.Sleep(pause)
	case "halfhead":
		app.half(w, "HTTP/1.1 200 OK\r\nContent-Le", true)
		return
	case "halfbody", "cut":
		app.half(w, "HTTP/1.1 200 OK\r\nX-Backend: "+app.name+"\r\nContent-Length: 2000\r\n\r\n"+
			strings.Repeat("x", 1000), verb == "halfbody")
		return
	}
	io.WriteString(w, body)
}

// half sends these bytes and no more. If it stays, the connection is held until the other end
// closes it or the mode changes.
func (app *application) half(w http.ResponseWriter, text string, stay bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, text)
	for mode := app.mode.Load(); stay && app.mode.Load() == mode; {
		conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		_, err := conn.Read(make([]byte, 1))
		if wait, ok := err.(net.Error); !ok || !wait.Timeout() {
			return
		}
	}
}
