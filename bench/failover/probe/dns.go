// A name server for one experiment: every name has the same IPv4 address, and a command moves it.
// Answers may be believed for a second. Questions of any other kind get an empty answer.
package main

import (
	"encoding/binary"
	"net"
	"sync/atomic"
)

func dns(address, path string) {
	var here atomic.Value
	here.Store(net.IPv4zero.To4())
	control(path, func(line string) { here.Store(net.ParseIP(line).To4()) })
	conn, err := net.ListenPacket("udp4", address)
	must(err)
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buffer)
		must(err)
		if answer := answer(buffer[:n], here.Load().(net.IP)); answer != nil {
			conn.WriteTo(answer, from)
		}
	}
}

func answer(query []byte, address net.IP) []byte {
	const head = 12
	if len(query) < head+5 || binary.BigEndian.Uint16(query[4:]) != 1 {
		return nil
	}
	end := head
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the root's length, type and class
	if end > len(query) {
		return nil
	}
	isA := binary.BigEndian.Uint16(query[end-4:]) == 1
	out := append([]byte{}, query[:end]...)
	out[2], out[3] = 0x85, 0x80 // an answer, authoritative, recursion as wanted
	binary.BigEndian.PutUint16(out[6:], 0)
	binary.BigEndian.PutUint16(out[8:], 0)
	binary.BigEndian.PutUint16(out[10:], 0)
	if isA {
		binary.BigEndian.PutUint16(out[6:], 1)
		out = append(out, 0xc0, head, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
		out = append(out, address...)
	}
	return out
}
