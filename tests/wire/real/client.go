// Asks a URL with Go's standard client: many GETs side by side, and bodies of both framings.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(response *http.Response, err error) []byte {
	check(err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	check(err)
	if response.StatusCode != 200 {
		check(fmt.Errorf("status %s: %s", response.Status, data))
	}
	return data
}

func main() {
	base := os.Args[1]
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	var group sync.WaitGroup
	for i := 0; i < 10; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 10; j++ {
				if text := string(read(client.Get(base + "/"))); text != "uvicorn" {
					check(fmt.Errorf("got %q", text))
				}
			}
		}()
	}
	group.Wait()
	body := bytes.Repeat([]byte("0123456789"), 50000)
	// A bytes.Reader has a length; a pipe has none and is sent in chunks.
	if !bytes.Equal(read(client.Post(base+"/mirror", "text/plain", bytes.NewReader(body))), body) {
		check(fmt.Errorf("the body came back otherwise"))
	}
	reader, writer := io.Pipe()
	go func() {
		for start := 0; start < len(body); start += 1000 {
			writer.Write(body[start : start+1000])
		}
		writer.Close()
	}()
	if !bytes.Equal(read(client.Post(base+"/mirror", "text/plain", reader)), body) {
		check(fmt.Errorf("the chunked body came back otherwise"))
	}
	fmt.Println("ok 100")
}
